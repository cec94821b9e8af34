"""Training: one loop for all networks, that stores what it scaled, stops when it should and goes on where it was.

`fit` trains a network, `fit_ensemble` several of one structure at once. What they return predicts in the user's units,
and is saved with `hven.methods.models`. `stream` gives batches of rows that do not fit into memory.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods._allocator import memory_kept
from hven.methods._checkpoints import Checkpoint, digest_of, told_of
from hven.methods._science import require
from hven.methods._streaming import stream
from hven.methods._training_loop import (
    Batches,
    Flat,
    Loss,
    Rules,
    Schedule,
    compiled_stretch,
    first_state,
    network,
    padded,
    validation_blocks,
)
from hven.methods._varying import varies
from hven.methods.padding import padded_length

__all__ = [
    "Checkpoint",
    "History",
    "Scaler",
    "Trained",
    "fit",
    "fit_ensemble",
    "gaussian_nll",
    "predict_ensemble",
    "squared_error",
    "stream",
]

Array = NDArray[np.float64]
Schedules = Literal["cosine", "one-cycle", "constant"]


def squared_error(net: Any, rows: dict[str, Any], key: Any) -> Any:  # noqa: ARG001 - a loss takes a key
    """Return the mean squared error of each row: net(x) against y, shapes (b, n_in) and (b, n_out)."""
    import jax
    import jax.numpy as jnp

    return jnp.mean((jax.vmap(net)(rows["x"]) - rows["y"]) ** 2, axis=-1)


def gaussian_nll(net: Any, rows: dict[str, Any], key: Any) -> Any:  # noqa: ARG001 - a loss takes a key
    """Return -ln N(y | mean, std^2 [+ y_err^2]) of each row; net(x) is means and log standard deviations (2 n_out,).

    ``rows["y_err"]``, where there is one, is the known error of y in the same (standardised) unit.
    """
    import jax
    import jax.numpy as jnp

    mean, log_std = jnp.split(jax.vmap(net)(rows["x"]), 2, axis=-1)
    variance = jnp.exp(2 * log_std) + (rows["y_err"] ** 2 if "y_err" in rows else 0.0)
    terms = 0.5 * ((rows["y"] - mean) ** 2 / variance + jnp.log(variance) + np.log(2 * np.pi))
    return jnp.sum(terms, axis=-1)


@dataclass(frozen=True)
class Scaler:
    """A shift and a unit per column, each of the shape of one row: standardised = (value - mean) / std."""

    mean: Array
    std: Array

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Scaler":
        """Return the scaler that makes columns of `values` (n, ...) mean 0 and spread 1; constants keep their unit."""
        std = values.std(axis=0, dtype=np.float64)
        return cls(values.mean(axis=0, dtype=np.float64), np.where(varies(values) & (std > 0), std, 1.0))

    def to_standard(self, values: ArrayLike) -> Array:
        """Return `values` standardised."""
        return np.asarray((np.asarray(values, dtype=np.float64) - self.mean) / self.std)

    def from_standard(self, values: ArrayLike) -> Array:
        """Return standardised `values` in their own unit."""
        return np.asarray(np.asarray(values, dtype=np.float64) * self.std + self.mean)


@dataclass(frozen=True)
class History:
    """How training went: the step of each check, the mean training loss since the one before, the validation loss."""

    step: NDArray[np.int64]
    loss: Array
    val_loss: Array

    @property
    def best_step(self) -> int:
        """The step with the lowest validation loss, or the last one without validation."""
        known = np.isfinite(self.val_loss)
        return int(self.step[np.nanargmin(self.val_loss)]) if known.any() else int(self.step[-1])


@dataclass(frozen=True)
class Trained:
    """A trained network with what is needed to use it.

    Attributes
    ----------
    net
        The network with the weights of the lowest validation loss (averaged ones, when an EMA was asked for).
    scalers
        By name of the data: what was standardised, and how.
    history
        How training went.
    seed
        Of batches and keys.
    diverged
        Whether the loss stopped being finite; the weights are those of before.
    checkpoint
        The state at the end of the whole fit (all members of an ensemble), to go on from; not saved with the model.
    names
        Texts to keep with the model: names and units of features, the version of the training data.
    last
        The network with the weights of the last step, neither averaged nor chosen; not saved with the model.
    """

    net: Any
    scalers: dict[str, Scaler]
    history: History
    seed: int
    diverged: bool
    checkpoint: Checkpoint | None = None
    names: Mapping[str, Any] | None = None
    last: Any = None

    def predict(self, x: ArrayLike) -> Array:
        """Return the network's output for rows `x` (n, n_in), shape (n, n_out), in the unit of y."""
        out = self._outputs(x)
        return self.scalers["y"].from_standard(out) if "y" in self.scalers else out

    def predict_gaussian(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return means and standard deviations, each (n, n_out), of a network trained with `gaussian_nll`."""
        mean, log_std = np.split(self._outputs(x), 2, axis=-1)
        scaler = self.scalers.get("y")
        if scaler is None:
            return mean, np.exp(log_std)
        return scaler.from_standard(mean), np.exp(log_std) * scaler.std

    def _outputs(self, x: ArrayLike) -> Array:
        import equinox as eqx

        rows = np.asarray(x, dtype=np.float64)
        rows = self.scalers["x"].to_standard(rows) if "x" in self.scalers else rows
        length = padded_length(len(rows))
        out = eqx.filter_jit(_apply)(self.net, padded({"x": rows}, length)["x"])
        return np.asarray(out, dtype=np.float64)[: len(rows)]

    def spec(self) -> dict[str, Any]:
        """Return what `hven.methods.models` keeps as text."""
        return {
            "kind": "trained",
            "net": self.net.spec(),
            "scalers": sorted(self.scalers),
            "seed": self.seed,
            "diverged": self.diverged,
            "names": dict(self.names or {}),
        }

    def arrays(self) -> dict[str, Any]:
        """Return weights, scalers and history by path."""
        out = {f"net.{path}": values for path, values in self.net.arrays().items()}
        for name, scaler in self.scalers.items():
            out |= {f"scalers.{name}.mean": scaler.mean, f"scalers.{name}.std": scaler.std}
        history = {"step": self.history.step, "loss": self.history.loss, "val_loss": self.history.val_loss}
        return out | {f"history.{name}": values for name, values in history.items()}

    @classmethod
    def build(cls, arrays: dict[str, Any], spec: dict[str, Any]) -> "Trained":
        """Return the model that `spec` and `arrays` describe."""
        from hven.methods.models import FORMAT, load

        weights = {path.removeprefix("net."): values for path, values in arrays.items() if path.startswith("net.")}
        return cls(
            net=load(weights, {"format": FORMAT, **spec["net"]}),
            scalers={n: Scaler(arrays[f"scalers.{n}.mean"], arrays[f"scalers.{n}.std"]) for n in spec["scalers"]},
            history=History(*(arrays[f"history.{name}"] for name in ("step", "loss", "val_loss"))),
            seed=int(spec["seed"]),
            diverged=bool(spec["diverged"]),
            names=spec["names"],
        )


def _apply(net: Any, x: Any) -> Any:
    import jax

    return jax.vmap(net)(x)


def fit(
    net: Any,
    loss: Loss,
    data: Mapping[str, ArrayLike],
    *,
    steps: int,
    batch: int = 256,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    schedule: Schedules = "cosine",
    warmup: float = 0.05,
    clip: float | None = 1.0,
    val: float | ArrayLike = 0.1,
    check_every: int = 100,
    patience: int | None = None,
    ema: float | None = None,
    standardise: Sequence[str] = ("x", "y"),
    seed: int = 0,
    resume: Checkpoint | None = None,
    on_check: Callable[[Checkpoint], None] | None = None,
    names: Mapping[str, Any] | None = None,
    betas: tuple[float, float] = (0.9, 0.999),
    stepwise: bool = False,
) -> Trained:
    """Return `net` trained to make `loss` small on `data`, the weights of the lowest validation loss kept.

    AdamW (Loshchilov and Hutter, arXiv:1711.05101) on shuffled batches. Everything random follows from `seed` and the
    step, so the same call gives the same bits, and so does one that was interrupted and goes on from a checkpoint.

    Parameters
    ----------
    net
        An equinox module, such as `hven.methods.nets.MLP`; trained in float32.
    loss
        ``loss(net, rows, key)`` returns one value per row, (b,), with `rows` a dict of the arrays of `data` for a
        batch, standardised. Define it at the top of a module: it is compiled once as long as it is the same function.
        `squared_error` and `gaussian_nll` are such losses.
    data
        Arrays by name, rows first; ``weight`` (n,), when there, says how much each row counts.
    steps
        The most steps; the schedule of the learning rate spans them.
    batch
        Rows per step.
    learning_rate, weight_decay, schedule, warmup
        Of AdamW: the highest rate, the decay, its course (``"cosine"`` after a linear warm-up over the fraction
        `warmup` of the steps, ``"one-cycle"``, ``"constant"``).
    clip
        Longest gradient (global norm); longer ones are shortened to it.
    val
        Fraction of the rows held out for validation, or a mask (n,) of them.
    check_every
        Steps between validations (and checkpoints).
    patience
        Stops after so many validations without a new lowest loss; None never does.
    ema
        Decay of an exponential moving average of the weights, which is then what is validated and kept.
    standardise
        Names of the data to shift and scale to mean 0 and spread 1 of the training rows; names not in `data` are
        skipped, and ``y_err`` is scaled with y.
    seed
        Of batches, held-out rows and keys.
    resume
        A checkpoint of an interrupted call with the same arguments.
    on_check
        Called with a checkpoint after each validation.
    names
        Texts to keep with the model (feature names, units, version of the data): JSON-able.
    betas
        Decays of AdamW's averages of the gradient and of its square.
    stepwise
        Compiles single steps rather than a loop of them: for networks that convolve, whose convolutions XLA computes
        an order of magnitude slower inside a loop on processors. Same steps, bits may differ in the last place.

    Raises
    ------
    DataRefusedError
        Arrays of different length, or values that are not finite.
    TooFewObjectsError
        No rows left to train on.
    ParameterError
        `schedule` is not known, or `resume` is of a call with other arguments: of another network, loss or data.
    MissingDependencyError
        equinox or optax is not installed.

    Examples
    --------
    >>> from hven.methods import nets
    >>> x = np.random.default_rng(0).normal(size=(512, 2))
    >>> line = fit(nets.MLP(2, 1, depth=0), squared_error, {"x": x, "y": x @ [[3.0], [-1.0]] + 5},
    ...            steps=400, batch=128, learning_rate=0.05, weight_decay=0.0)
    >>> line.predict([[1.0, 1.0]]).round(2).tolist()
    [[7.0]]
    """
    members = _train(
        [net], loss, data, steps, batch, Schedule(schedule, learning_rate, weight_decay, warmup, clip, steps, betas),
        val=val, check_every=check_every, patience=patience, ema=ema, standardise=standardise, seed=seed,
        resume=resume, on_check=on_check, names=names, same_batches=True, stepwise=stepwise,
    )  # fmt: skip
    return members[0]


def fit_ensemble(
    nets: Sequence[Any],
    loss: Loss,
    data: Mapping[str, ArrayLike],
    *,
    steps: int,
    same_batches: bool = False,
    batch: int = 256,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    schedule: Schedules = "cosine",
    warmup: float = 0.05,
    clip: float | None = 1.0,
    val: float | ArrayLike = 0.1,
    check_every: int = 100,
    patience: int | None = None,
    ema: float | None = None,
    standardise: Sequence[str] = ("x", "y"),
    seed: int = 0,
    resume: Checkpoint | None = None,
    on_check: Callable[[Checkpoint], None] | None = None,
    names: Mapping[str, Any] | None = None,
) -> tuple[Trained, ...]:
    """Return several networks of one structure, trained side by side in one compiled loop.

    Parameters are those of `fit`. Members that stop early keep their best weights while the others go on.

    Parameters
    ----------
    nets
        The members: the same structure, usually other seeds.
    loss, data, steps, batch, learning_rate, weight_decay, schedule, warmup, clip
        As in `fit`.
    same_batches
        Whether all members see the same batches in the same order; otherwise each has its own.
    val
        As in `fit`; or a mask per member, (members, n): the folds of a cross-validation.
    check_every, patience, ema, standardise, seed, resume, on_check, names
        As in `fit`.

    Examples
    --------
    >>> from hven.methods import nets
    >>> x = np.linspace(-1, 1, 300)[:, None]
    >>> pair = fit_ensemble([nets.MLP(1, 1, seed=s) for s in (0, 1)], squared_error, {"x": x, "y": x**2}, steps=200)
    >>> len(pair), pair[0].predict([[0.5]]).shape
    (2, (1, 1))
    """
    return _train(
        list(nets), loss, data, steps, batch, Schedule(schedule, learning_rate, weight_decay, warmup, clip, steps),
        val=val, check_every=check_every, patience=patience, ema=ema, standardise=standardise, seed=seed,
        resume=resume, on_check=on_check, names=names, same_batches=same_batches,
    )  # fmt: skip


def predict_ensemble(members: Sequence[Trained], x: ArrayLike) -> tuple[Array, Array]:
    """Return mean and standard deviation, each (n, n_out), of the mixture of Gaussians that `members` predict.

    Variance = mean of the variances + variance of the means (Lakshminarayanan et al., arXiv:1612.01474).
    """
    means, stds = zip(*(member.predict_gaussian(x) for member in members), strict=True)
    mean = np.mean(means, axis=0)
    return mean, np.sqrt(np.mean(np.square(stds), axis=0) + np.var(means, axis=0))


def _train(
    nets: list[Any],
    loss: Loss,
    data: Mapping[str, ArrayLike],
    steps: int,
    batch: int,
    schedule: Schedule,
    *,
    val: float | ArrayLike,
    check_every: int,
    patience: int | None,
    ema: float | None,
    standardise: Sequence[str],
    seed: int,
    resume: Checkpoint | None,
    on_check: Callable[[Checkpoint], None] | None,
    names: Mapping[str, Any] | None,
    same_batches: bool,
    stepwise: bool = False,
) -> tuple[Trained, ...]:
    require("equinox", "optax", what="training")
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    if schedule.kind not in {"cosine", "one-cycle", "constant"}:
        raise ParameterError(
            f"schedule is {schedule.kind!r}", expected="cosine, one-cycle or constant", hint="Choose one."
        )
    arrays = _arrays(data)
    n = len(arrays["weight"])
    held_out = _held_out(val, n, len(nets), seed)
    scalers = _scalers(arrays, standardise, ~held_out.all(axis=0))
    standard = padded(_standardised(arrays, scalers), padded_length(n))
    device_data = {name: jnp.asarray(values) for name, values in standard.items()}
    batches = Batches([np.flatnonzero(~mask) for mask in held_out], batch, seed, same=same_batches)
    validation = validation_blocks([np.flatnonzero(mask) for mask in held_out], min(batch, 4096))
    rules = Rules(loss, schedule, ema, patience, bool(held_out.any()))

    trainable, static = zip(*(eqx.partition(net, eqx.is_inexact_array) for net in nets), strict=True)
    structure = hashlib.sha256(told_of(static[0]).encode()).hexdigest()
    if stepwise:
        trainable, static = zip(*map(Flat.of, trainable, static), strict=True)
    state = first_state(schedule)(jax.tree.map(lambda *leaves: jnp.stack(leaves), *trainable))
    settings = {
        "steps": steps, "batch": batch, "check_every": check_every, "seed": seed, "members": len(nets), "rows": n,
        "schedule": repr(schedule), "ema": ema, "patience": patience, "same_batches": same_batches,
        "standardise": sorted(standardise), "loss": told_of(loss), "network": structure,
        "data": digest_of({**arrays, "held out": held_out.T}),
    }  # fmt: skip
    step, record = 0, np.zeros((0, 2, len(nets)))
    if resume is not None:
        state, step, record = resume.restore(state, settings)
    keys = jax.vmap(lambda member: jax.random.fold_in(jax.random.key(seed), member))(
        jnp.zeros(len(nets), int) if same_batches else jnp.arange(len(nets))
    )
    stretch = compiled_stretch(rules, stepwise)
    with memory_kept() if stepwise else nullcontext():
        while step < steps and not bool(np.all(state.stopped)):
            count = min(check_every, steps - step)
            index = batches.between(step, check_every)
            state, train_loss, val_loss = stretch(
                state, static[0], device_data, index, jnp.int32(count), jnp.int32(step), validation, keys
            )
            step += count
            record = np.concatenate([record, [[np.asarray(train_loss), np.asarray(val_loss)]]])
            if on_check is not None:
                on_check(Checkpoint.of(state, step, record, settings))
    checkpoint = Checkpoint.of(state, step, record, settings)
    return tuple(
        Trained(
            net=network(jax.tree.map(lambda leaf, m=m: leaf[m], state.best), static[m]),
            scalers=scalers,
            history=_history(record, m, check_every, steps),
            seed=seed,
            diverged=not bool(np.isfinite(record[:, 0, m]).all()),
            checkpoint=checkpoint,
            names=names,
            last=network(jax.tree.map(lambda leaf, m=m: leaf[m], state.params), static[m]),
        )
        for m in range(len(nets))
    )


def _history(record: Array, member: int, check_every: int, steps: int) -> History:
    ends = np.minimum(check_every * (1 + np.arange(len(record))), steps)
    return History(ends.astype(np.int64), record[:, 0, member], record[:, 1, member])


def _arrays(data: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    arrays = {name: np.asarray(values) for name, values in data.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise DataRefusedError(
            f"the arrays have lengths {lengths}", where="train.fit", expected="the same number of rows",
            hint="Rows stand along the first axis of every array.",
        )  # fmt: skip
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataRefusedError(
                f"{int((~np.isfinite(values)).sum())} values are not finite", where=f"{name!r}",
                hint="Drop those rows, or give a mask as another array and use it in the loss.",
            )  # fmt: skip
    n = next(iter(lengths.values()))
    arrays.setdefault("weight", np.ones(n))
    return arrays


def _held_out(val: float | ArrayLike, n: int, members: int, seed: int) -> NDArray[np.bool_]:
    """Return which rows each member does not train on, shape (members, n)."""
    if np.ndim(val) == 0:
        chosen = np.zeros(n, dtype=bool)
        count = round(float(np.asarray(val)) * n)
        chosen[np.random.default_rng([seed, 2**32 - 1]).permutation(n)[:count]] = True
    else:
        chosen = np.asarray(val, dtype=bool)
        if chosen.shape not in {(n,), (members, n)}:
            raise DataRefusedError(
                f"val has shape {chosen.shape}", where="train.fit", expected=f"({n},) or ({members}, {n})",
                hint="Give a fraction, a mask, or a mask per member.",
            )  # fmt: skip
    masks = np.broadcast_to(chosen, (members, n))
    if np.any(masks.all(axis=1)):
        raise TooFewObjectsError(
            "no rows are left to train on", where="train.fit", expected="one or more", hint="Hold fewer out."
        )
    return masks


def _scalers(arrays: dict[str, NDArray[Any]], names: Sequence[str], used: NDArray[np.bool_]) -> dict[str, Scaler]:
    return {name: Scaler.of(arrays[name][used]) for name in names if name in arrays}


def _standardised(arrays: dict[str, NDArray[Any]], scalers: dict[str, Scaler]) -> dict[str, NDArray[Any]]:
    out = {name: scalers[name].to_standard(v) if name in scalers else v for name, v in arrays.items()}
    if "y" in scalers and "y_err" in out and "y_err" not in scalers:
        out["y_err"] = out["y_err"] / scalers["y"].std
    return out

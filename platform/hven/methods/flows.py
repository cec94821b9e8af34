"""Conditional normalizing flows: densities p(x | context) learned from samples, thinly over flowjax.

`fit` standardises, maps bounded variables to the whole line, and trains; what it returns speaks the user's units, all
Jacobians included.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._science import require
from hven.methods.padding import padded_length
from hven.methods.train import History, Scaler
from hven.methods.train import fit as _fit_network

__all__ = ["Flow", "fit"]

Array = NDArray[np.float64]
Kind = Literal["spline_ar", "affine_ar", "spline_coupling"]

_POINTS_AT_A_TIME = 2**18


@dataclass(frozen=True)
class Flow:
    """A fitted density of d variables, given c others.

    Attributes
    ----------
    net
        The flowjax distribution, in standardised units and float32.
    x_scaler, context_scaler
        What was standardised, and how; the second is None for a density without context.
    lower, upper
        Limits of the variables, each (d,), infinite where there are none.
    history
        How training went.
    settings
        Of the network: kind, layers, width, depth, knots, seed.
    """

    net: Any
    x_scaler: Scaler
    context_scaler: Scaler | None
    lower: Array
    upper: Array
    history: History
    settings: Mapping[str, Any]

    def log_prob(self, x: ArrayLike, context: ArrayLike | None = None) -> Array:
        """Return ln p(x | context) of each row, shape (n,), in the units of x; -inf outside the limits.

        Parameters
        ----------
        x
            Shape (n, d), or (n,) for one variable.
        context
            Shape (n, c), or (c,) for all rows the same.
        """
        rows = self._rows(x)
        given = self._context(context, len(rows))
        inside = np.all((rows > self.lower) & (rows < self.upper), axis=1)
        free, log_slope = _to_line(np.where(inside[:, None], rows, _middle(self.lower, self.upper)), self)
        standard = self.x_scaler.to_standard(free)
        out = np.concatenate([_apply(_log_prob, self.net, *part) for part in _parts(standard, given)])
        jacobian = log_slope.sum(axis=1) - np.log(self.x_scaler.std).sum()
        return np.where(inside, out + jacobian, -np.inf)

    def log_prob_grid(self, context: ArrayLike, grid: ArrayLike) -> Array:
        """Return ln p on a grid (g,) of one variable for each row of `context` (n, c), shape (n, g).

        Raises
        ------
        DataRefusedError
            The flow is of more than one variable.
        """
        self._refuse_unless_one_variable("log_prob_grid")
        rows = np.atleast_2d(np.asarray(context, dtype=np.float64))
        points = np.asarray(grid, dtype=np.float64)
        out = self.log_prob(np.tile(points, len(rows)), np.repeat(rows, len(points), axis=0))
        return out.reshape(len(rows), len(points))

    def pit(self, x: ArrayLike, context: ArrayLike | None = None) -> Array:
        """Return the cumulative distribution at `x` (n,) of a flow of one variable: the PIT of observed values."""
        self._refuse_unless_one_variable("pit")
        rows = np.clip(self._rows(x), self.lower, self.upper)
        given = self._context(context, len(rows))
        inside = (rows > self.lower) & (rows < self.upper)
        free, _ = _to_line(np.where(inside, rows, _middle(self.lower, self.upper)), self)
        standard = self.x_scaler.to_standard(free)
        u = np.concatenate([_apply(_cumulative, self.net, *part) for part in _parts(standard, given)])
        return np.where(inside[:, 0], u, np.where(rows[:, 0] <= self.lower[0], 0.0, 1.0))

    def log_prob_noisy(
        self, x: ArrayLike, x_err: ArrayLike, context: ArrayLike | None = None, *, n_draws: int = 128, seed: int = 0
    ) -> Array:
        """Return ln of p convolved with the errors of x, the mean of p(x + x_err z) over common draws z, shape (n,).

        All rows and calls use the same `n_draws` numbers z, so that the result is smooth in the context (common random
        numbers). Shapes of `x` and `x_err` are those of x in `log_prob`.
        """
        rows, err = self._rows(x), self._rows(x_err)
        half = np.random.default_rng(seed).normal(size=(n_draws // 2, rows.shape[1]))
        draws = np.concatenate([half, -half])
        moved = rows[:, None, :] + err[:, None, :] * draws
        given = None if self.context_scaler is None else np.atleast_2d(np.asarray(context, dtype=np.float64))
        if given is not None:
            given = np.repeat(np.broadcast_to(given, (len(rows), given.shape[1])), len(draws), axis=0)
        logp = self.log_prob(moved.reshape(-1, rows.shape[1]), given).reshape(len(rows), -1)
        return np.asarray(np.logaddexp.reduce(logp, axis=1) - np.log(len(draws)))

    def sample(self, n: int, context: ArrayLike | None = None, *, seed: int = 0, ids: ArrayLike | None = None) -> Array:
        """Return `n` draws, shape (n, d); or for `context` (m, c), shape (m, n, d).

        With the posterior of labels as x and data as context, these are posterior draws per object.

        Parameters
        ----------
        n
            Draws for each row of the context.
        context
            Shape (m, c), or (c,).
        seed, ids
            The draws of a row follow from the seed and its id (m,), not from its place among the others; ids are 0, 1,
            2... when not given.
        """
        import jax

        single = context is None or np.ndim(context) == 1
        given = None if context is None else np.atleast_2d(np.asarray(context, dtype=np.float64))
        count = 1 if given is None else len(given)
        numbers = np.arange(count) if ids is None else np.asarray(ids).astype(np.int64)
        standard = self._context(given, count)
        length = padded_length(count)
        both = np.zeros((length, 2), dtype=np.uint32)
        both[:count] = np.stack([numbers & 0xFFFFFFFF, numbers >> 32], axis=1)
        part = None if standard is None else np.concatenate([standard, np.zeros((length - count, standard.shape[1]))])
        draws = _jit(_sample)(self.net, jax.random.key(seed), both, _f32(part), n)
        free = self.x_scaler.from_standard(np.asarray(draws)[:count])
        out = _from_line(free, self.lower, self.upper)
        return out[0] if single else out

    def spec(self) -> dict[str, Any]:
        """Return what `hven.methods.models` keeps as text."""
        return {
            "kind": "flow",
            "settings": dict(self.settings),
            "has_context": self.context_scaler is not None,
        }

    def arrays(self) -> dict[str, Any]:
        """Return weights, scalers, limits and history by path."""
        from hven.methods.models import leaves

        out = {f"net.{path}": values for path, values in leaves(self.net).items()}
        scalers = {"x": self.x_scaler, "context": self.context_scaler}
        for name, scaler in scalers.items():
            if scaler is not None:
                out |= {f"scalers.{name}.mean": scaler.mean, f"scalers.{name}.std": scaler.std}
        history = {"step": self.history.step, "loss": self.history.loss, "val_loss": self.history.val_loss}
        out |= {f"history.{name}": values for name, values in history.items()}
        return out | {"lower": self.lower, "upper": self.upper}

    @classmethod
    def build(cls, arrays: dict[str, Any], spec: dict[str, Any]) -> "Flow":
        """Return the flow that `spec` and `arrays` describe."""
        from hven.methods.models import with_leaves

        weights = {path.removeprefix("net."): values for path, values in arrays.items() if path.startswith("net.")}
        names = ["x", "context"] if spec["has_context"] else ["x"]
        scalers = {n: Scaler(arrays[f"scalers.{n}.mean"], arrays[f"scalers.{n}.std"]) for n in names}
        d, c = len(scalers["x"].mean), len(scalers["context"].mean) if spec["has_context"] else 0
        return cls(
            net=with_leaves(_network(d, c, **spec["settings"]), weights),
            x_scaler=scalers["x"],
            context_scaler=scalers.get("context"),
            lower=arrays["lower"],
            upper=arrays["upper"],
            history=History(*(arrays[f"history.{name}"] for name in ("step", "loss", "val_loss"))),
            settings=spec["settings"],
        )

    def _rows(self, x: ArrayLike) -> Array:
        rows = np.asarray(x, dtype=np.float64)
        d = len(self.lower)
        rows = rows[:, None] if rows.ndim == 1 and d == 1 else np.atleast_2d(rows)
        if rows.shape[1] != d:
            raise DataRefusedError(
                f"x has shape {rows.shape}", expected=f"(n, {d})", hint="Give one column a variable."
            )
        return rows

    def _context(self, context: ArrayLike | None, n: int) -> Array | None:
        if self.context_scaler is None:
            return None
        c = len(self.context_scaler.mean)
        rows = np.full((1, 0), 0.0) if context is None else np.atleast_2d(np.asarray(context, dtype=np.float64))
        if rows.shape[1] != c or len(rows) not in {1, n}:
            raise DataRefusedError(
                f"the context has shape {np.shape(context) if context is not None else None}",
                expected=f"({n}, {c}) or ({c},)", hint="The flow was fitted with a context of that many columns.",
            )  # fmt: skip
        return np.broadcast_to(self.context_scaler.to_standard(rows), (n, c))

    def _refuse_unless_one_variable(self, what: str) -> None:
        if len(self.lower) != 1:
            raise DataRefusedError(
                f"{what} of a flow of {len(self.lower)} variables", expected="one variable",
                hint="Use log_prob on points of your own, or sample.",
            )  # fmt: skip


def fit(
    x: ArrayLike,
    context: ArrayLike | None = None,
    *,
    weights: ArrayLike | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    kind: Kind = "spline_ar",
    layers: int = 3,
    width: int = 48,
    depth: int = 1,
    knots: int = 8,
    steps: int = 3000,
    batch: int = 512,
    learning_rate: float = 3e-3,
    val: float = 0.1,
    patience: int | None = 10,
    seed: int = 0,
) -> Flow:
    """Return the density of `x`, given `context`, learned from samples by maximum likelihood.

    A masked autoregressive flow (Papamakarios et al., arXiv:1705.07057) whose transformations are rational-quadratic
    splines (Durkan et al., arXiv:1906.04032), trained with `hven.methods.train`.

    Parameters
    ----------
    x
        Samples, shape (n, d) or (n,).
    context
        What the density depends on, shape (n, c) or (n,); None for a density of x alone.
    weights
        How much each sample counts, shape (n,): 1/selection makes the density that of the whole population.
    bounds
        Lower and upper limits, each (d,) or a number, infinite where there are none. Variables with both are mapped by
        a logit, with one by a logarithm; the density is zero outside.
    kind
        ``"spline_ar"``; ``"affine_ar"``, quicker and smoother; or ``"spline_coupling"``, of which samples are drawn as
        quickly as densities computed when d is large.
    layers, width, depth, knots
        Transformations, neurons per hidden layer of their networks, hidden layers, and knots of the splines.
    steps, batch, learning_rate, val, patience, seed
        Of the training: see `hven.methods.train.fit`; the seed is of the initial weights too.

    Raises
    ------
    DataRefusedError
        Values that are not finite, or not inside the bounds.
    ParameterError
        The kind is not known.
    MissingDependencyError
        flowjax is not installed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> flow = fit(rng.normal(5.0, 2.0, 1000), kind="affine_ar", layers=1, width=4, steps=200)
    >>> bool(abs(flow.log_prob([5.0])[0] + 0.5 * np.log(2 * np.pi * 4)) < 0.1), flow.sample(3).shape
    (True, (3, 1))
    """
    require("equinox", "flowjax", "optax", what="a flow")
    rows = np.asarray(x, dtype=np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    d = rows.shape[1]
    lower, upper = (np.broadcast_to(np.asarray(v, np.float64), d) for v in bounds or (-np.inf, np.inf))
    if np.any((rows <= lower) | (rows >= upper)):
        raise DataRefusedError(
            f"{int(np.any((rows <= lower) | (rows >= upper), axis=1).sum())} rows of x are at or beyond the bounds",
            where="flows.fit", expected="values inside", hint="Widen the bounds a little, or drop those rows.",
        )  # fmt: skip
    free = _free(rows, lower, upper)
    data: dict[str, Array] = {"x": free}
    if context is not None:
        given = np.asarray(context, dtype=np.float64)
        data["context"] = given[:, None] if given.ndim == 1 else given
    if weights is not None:
        weight = np.asarray(weights, dtype=np.float64)
        data["weight"] = weight / weight.mean()
    settings: dict[str, Any] = {
        "kind": kind,
        "layers": layers,
        "width": width,
        "depth": depth,
        "knots": knots,
        "seed": seed,
    }
    trained = _fit_network(
        _network(d, data["context"].shape[1] if context is not None else 0, **settings), _negative_log_prob, data,
        steps=steps, batch=min(batch, len(rows)), learning_rate=learning_rate, weight_decay=0.0, val=val,
        patience=patience, standardise=("x", "context"), seed=seed,
    )  # fmt: skip
    scalers = trained.scalers
    return Flow(
        net=trained.net,
        x_scaler=scalers["x"],
        context_scaler=scalers.get("context"),
        lower=np.array(lower),
        upper=np.array(upper),
        history=trained.history,
        settings=settings,
    )


def _network(d: int, c: int, *, kind: str, layers: int, width: int, depth: int, knots: int, seed: int) -> Any:
    import jax
    import jax.numpy as jnp
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow, masked_autoregressive_flow

    if kind not in {"spline_ar", "affine_ar", "spline_coupling"} or (kind == "spline_coupling" and d == 1):
        raise ParameterError(
            f"kind is {kind!r} for {d} variables", where="flows.fit",
            expected="spline_ar, affine_ar, or spline_coupling for two variables or more", hint="Choose one.",
        )  # fmt: skip
    make = coupling_flow if kind == "spline_coupling" else masked_autoregressive_flow
    return make(
        jax.random.key(seed),
        base_dist=Normal(jnp.zeros(d, jnp.float32)),
        transformer=None if kind == "affine_ar" else RationalQuadraticSpline(knots=knots, interval=4),
        cond_dim=c or None,
        flow_layers=layers,
        nn_width=width,
        nn_depth=depth,
    )


def _negative_log_prob(net: Any, rows: dict[str, Any], key: Any) -> Any:  # noqa: ARG001 - a loss takes a key
    return -net.log_prob(rows["x"], rows.get("context"))


def _log_prob(net: Any, x: Any, context: Any) -> Any:
    return net.log_prob(x, context)


def _cumulative(net: Any, x: Any, context: Any) -> Any:
    import jax
    from paramax import unwrap

    flow = unwrap(net)  # each transformation increases: the cdf is that of the base at the point x comes from
    inverse: Any = flow.bijection.inverse
    base = jax.vmap(inverse)(x) if context is None else jax.vmap(inverse)(x, context)
    return jax.scipy.stats.norm.cdf(jax.vmap(flow.base_dist.bijection.inverse)(base))[:, 0]


def _sample(net: Any, key: Any, ids: Any, context: Any, n: int) -> Any:
    import jax

    keys = jax.vmap(lambda pair: jax.random.fold_in(jax.random.fold_in(key, pair[0]), pair[1]))(ids)
    if context is None:
        return jax.vmap(lambda k: net.sample(k, (n,)))(keys)
    return jax.vmap(lambda k, c: net.sample(k, (n,), c))(keys, context)


def _jit(function: Any) -> Any:
    import equinox as eqx

    jit: Any = eqx.filter_jit
    return jit(function)


def _f32(values: Array | None) -> Any:
    return None if values is None else values.astype(np.float32)


def _parts(x: Array, context: Array | None) -> list[tuple[Array, Array | None]]:
    starts = range(0, max(len(x), 1), _POINTS_AT_A_TIME)
    stop = _POINTS_AT_A_TIME
    return [(x[i : i + stop], None if context is None else context[i : i + stop]) for i in starts]


def _apply(function: Any, net: Any, x: Array, context: Array | None) -> Array:
    """Return `function` of rows padded to one of a few lengths, in float32."""
    n, length = len(x), padded_length(len(x))
    padding = [(0, length - n), (0, 0)]
    given = None if context is None else np.pad(context, padding)
    return np.asarray(_jit(function)(net, _f32(np.pad(x, padding)), _f32(given)), dtype=np.float64)[:n]


def _middle(lower: Array, upper: Array) -> Array:
    """Return a point inside the limits."""
    low = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper - 2, -1.0))
    high = np.where(np.isfinite(upper), upper, low + 2)
    return 0.5 * (low + high)


def _free(x: Array, lower: Array, upper: Array) -> Array:
    """Return x on the whole line: by logit between two limits, by logarithm above or below one."""
    with np.errstate(all="ignore"):
        both = np.log(x - lower) - np.log(upper - x)
        out = np.where(np.isfinite(lower), np.log(x - lower), np.where(np.isfinite(upper), -np.log(upper - x), x))
        return np.where(np.isfinite(lower) & np.isfinite(upper), both, out)


def _to_line(x: Array, flow: Flow) -> tuple[Array, Array]:
    """Return x on the whole line and the logarithm of the derivative of that map."""
    lower, upper = flow.lower, flow.upper
    with np.errstate(all="ignore"):
        slope_low = np.where(np.isfinite(lower), -np.log(x - lower), 0.0)
        slope_high = np.where(np.isfinite(upper), -np.log(upper - x), 0.0)
        width = np.where(np.isfinite(lower) & np.isfinite(upper), np.log(upper - lower), 0.0)
    return _free(x, lower, upper), slope_low + slope_high + width


def _from_line(free: Array, lower: Array, upper: Array) -> Array:
    """Return values within the limits from those on the whole line: the inverse of `_free`."""
    from scipy.special import expit

    has_low, has_high = np.isfinite(lower), np.isfinite(upper)
    low, high = np.where(has_low, lower, 0.0), np.where(has_high, upper, 1.0)
    with np.errstate(over="ignore"):
        one_sided = np.where(has_low, low + np.exp(free), np.where(has_high, high - np.exp(-free), free))
    return np.where(has_low & has_high, low + (high - low) * expit(free), one_sided)

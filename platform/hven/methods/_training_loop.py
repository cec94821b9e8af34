"""The training loop itself: several networks of one structure side by side, a stretch of steps per compiled call.

Every batch, key and weight at step s follows from the seed, the member and s alone, so a loop that goes on from a
checkpoint does what the uninterrupted one would have done, bit for bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Loss = Callable[[Any, dict[str, Any], Any], Any]


@dataclass(frozen=True)
class Schedule:
    """How far each step goes: AdamW with the named schedule, gradients clipped; hashable, as what is compiled once."""

    kind: str
    learning_rate: float
    weight_decay: float
    warmup: float
    clip: float | None
    steps: int
    betas: tuple[float, float] = (0.9, 0.999)

    def optimizer(self) -> Any:
        """Return the optax transformation."""
        import optax  # type: ignore[import-untyped]

        warm = max(1, int(self.warmup * self.steps))
        rate: Any
        if self.kind == "cosine":
            rate = optax.warmup_cosine_decay_schedule(
                0.0, self.learning_rate, warm, max(self.steps, warm + 1), 0.01 * self.learning_rate
            )
        elif self.kind == "one-cycle":
            rate = optax.cosine_onecycle_schedule(max(self.steps, 2), self.learning_rate)
        else:
            rate = self.learning_rate
        clip = [] if self.clip is None else [optax.clip_by_global_norm(self.clip)]
        return optax.chain(*clip, optax.adamw(rate, *self.betas, weight_decay=self.weight_decay))


class State(NamedTuple):
    """Of all members, their axis first: what changes while training goes on."""

    params: Any
    optimizer: Any
    average: Any
    best: Any
    best_loss: Any
    checks_since_best: Any
    stopped: Any


class Rules(NamedTuple):
    """What does not change; hashable."""

    loss: Loss
    schedule: Any
    ema: float | None
    patience: int | None
    validates: bool


@dataclass(frozen=True)
class Flat:
    """What a network is besides the one vector of its weights: hashable, as what is compiled once.

    An optimiser that treats a hundred arrays one by one takes XLA longer to compile than the network does.
    """

    rest: tuple[Any, ...]
    rest_tree: Any
    shapes: tuple[tuple[int, ...], ...]
    tree: Any

    @classmethod
    def of(cls, params: Any, static: Any) -> "tuple[Any, Flat]":
        """Return the weights as one vector, and the rest."""
        import jax
        import jax.numpy as jnp

        leaves, tree = jax.tree.flatten(params)
        rest, rest_tree = jax.tree.flatten(static)
        flat = cls(tuple(rest), rest_tree, tuple(leaf.shape for leaf in leaves), tree)
        return jnp.concatenate([leaf.ravel() for leaf in leaves]), flat

    def network(self, vector: Any) -> Any:
        """Return the network whose weights `vector` holds."""
        import equinox as eqx
        import jax

        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = [vector[end - int(np.prod(s)) : end].reshape(s) for end, s in zip(ends, self.shapes, strict=True)]
        return eqx.combine(jax.tree.unflatten(self.tree, parts), jax.tree.unflatten(self.rest_tree, self.rest))


def network(params: Any, static: Any) -> Any:
    """Return the network of trainable `params` and what is not trained."""
    import equinox as eqx

    return static.network(params) if isinstance(static, Flat) else eqx.combine(params, static)


@lru_cache(maxsize=64)
def first_state(schedule: Any) -> Callable[[Any], State]:
    """Return the function that makes the state of step 0 from the members' stacked weights."""
    import jax
    import jax.numpy as jnp

    def start(params: Any) -> State:
        return State(
            params=params,
            optimizer=schedule.optimizer().init(params),
            average=params,
            best=params,
            best_loss=jnp.float32(jnp.inf),
            checks_since_best=jnp.int32(0),
            stopped=jnp.bool_(False),
        )

    return jax.vmap(start)


@lru_cache(maxsize=64)
def compiled_stretch(rules: Rules, stepwise: bool = False) -> Callable[..., tuple[State, Any, Any]]:
    """Return the function that trains up to a fixed number of steps, then validates.

    It takes the state, the static part of the networks, the data, batches (members, steps, batch), how many of the
    steps to do, the first one's number, validation rows (members, blocks, batch) with their weights, and keys
    (members,); it returns the state, the mean training loss and the validation loss, each (members,).

    All of it is one compiled program, or with `stepwise` each step is: inside a loop XLA's convolutions on processors
    are an order of magnitude slower than outside.
    """
    return _stepwise(rules) if stepwise else _at_once(rules)


def _at_once(rules: Rules) -> Callable[..., tuple[State, Any, Any]]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    step, block, judge = _step(rules), _validation_block(rules), _judge(rules)

    def stretch(
        state: State, batches: Any, validation: Any, key: Any, static: Any, data: Any, n_steps: Any, first: Any
    ) -> tuple[State, Any, Any]:
        def one(i: Any, carry: Any) -> Any:
            return step(carry, batches[i], key, first + i, static, data)

        carry = jax.lax.fori_loop(0, n_steps, one, _begin(state))
        loss = jnp.float32(jnp.nan)
        if rules.validates:
            total, weight = jax.lax.map(lambda part: block(carry[2], part, key, static, data), validation)
            loss = jnp.sum(total) / jnp.maximum(jnp.sum(weight), 1e-12)
        return judge(state, carry, loss, n_steps)

    def all_members(
        state: State, static: Any, data: Any, batches: Any, n_steps: Any, first: Any, validation: Any, keys: Any
    ) -> tuple[State, Any, Any]:
        one: Any = jax.vmap(lambda s, b, v, k: stretch(s, b, v, k, static, data, n_steps, first))
        done: tuple[State, Any, Any] = one(state, batches, validation, keys)
        return done

    filter_jit: Any = eqx.filter_jit
    compiled: Callable[..., tuple[State, Any, Any]] = filter_jit(all_members)
    return compiled


def _stepwise(rules: Rules) -> Callable[..., tuple[State, Any, Any]]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    jit: Any = eqx.filter_jit
    step = jit(jax.vmap(_step(rules), in_axes=(0, 0, 0, None, None, None)))
    block = jit(jax.vmap(_validation_block(rules), in_axes=(0, 0, 0, None, None)))
    judge = jit(jax.vmap(_judge(rules), in_axes=(0, 0, 0, None)))
    begin = jit(jax.vmap(_begin))

    def all_members(
        state: State, static: Any, data: Any, batches: Any, n_steps: Any, first: Any, validation: Any, keys: Any
    ) -> tuple[State, Any, Any]:
        carry = begin(state)
        for i in range(int(n_steps)):
            carry = step(carry, batches[:, i], keys, first + i, static, data)
        loss = jnp.full(len(keys), jnp.nan, jnp.float32)
        if rules.validates:
            parts = zip(*(np.moveaxis(values, 1, 0) for values in validation), strict=True)
            sums = [block(carry[2], part, keys, static, data) for part in parts]
            total, weight = (sum(values) for values in zip(*sums, strict=True))
            loss = total / jnp.maximum(weight, 1e-12)
        done: tuple[State, Any, Any] = judge(state, carry, loss, n_steps)
        return done

    return all_members


def _begin(state: State) -> tuple[Any, Any, Any, Any]:
    """Return what a step changes: weights, optimiser, average, and the sum of losses so far."""
    import jax.numpy as jnp

    return state.params, state.optimizer, state.average, jnp.zeros(())


def _step(rules: Rules) -> Callable[..., tuple[Any, Any, Any, Any]]:
    """Return the function of one step of one member."""
    import jax
    import jax.numpy as jnp
    import optax

    optimizer = rules.schedule.optimizer()

    def mean_loss(params: Any, static: Any, rows: dict[str, Any], key: Any) -> Any:
        losses = rules.loss(network(params, static), rows, key)
        return jnp.sum(losses * rows["weight"]) / jnp.maximum(jnp.sum(rows["weight"]), 1e-12)

    def step(carry: Any, batch: Any, key: Any, number: Any, static: Any, data: Any) -> tuple[Any, Any, Any, Any]:
        params, memory, average, total = carry
        rows = {name: values[batch] for name, values in data.items()}
        value, slope = jax.value_and_grad(mean_loss)(params, static, rows, jax.random.fold_in(key, number))
        updates, memory = optimizer.update(slope, memory, params)
        params = optax.apply_updates(params, updates)
        average = params if rules.ema is None else optax.incremental_update(params, average, 1 - rules.ema)
        return params, memory, average, total + value

    return step


def _validation_block(rules: Rules) -> Callable[..., tuple[Any, Any]]:
    """Return the function of the summed loss and weight of one block of held-out rows."""
    import jax.numpy as jnp

    def block(params: Any, part: tuple[Any, Any], key: Any, static: Any, data: Any) -> tuple[Any, Any]:
        index, present = part
        rows = {name: values[index] for name, values in data.items()}
        losses = rules.loss(network(params, static), rows, key)
        weight = rows["weight"] * present
        return jnp.sum(jnp.where(weight > 0, losses * weight, 0.0)), jnp.sum(weight)

    return block


def _judge(rules: Rules) -> Callable[..., tuple[State, Any, Any]]:
    """Return the function that ends a stretch: is it the best so far, and does the member go on."""
    import jax
    import jax.numpy as jnp

    def judge(state: State, carry: Any, loss: Any, n_steps: Any) -> tuple[State, Any, Any]:
        params, memory, average, total = carry
        # without validation the last weights are the best ones, as long as they are finite
        falls = loss < state.best_loss if rules.validates else jnp.isfinite(total)
        better = falls & ~state.stopped
        since = jnp.where(better, 0, state.checks_since_best + 1)
        patience = rules.patience if rules.patience is not None and rules.validates else np.iinfo(np.int32).max
        new = State(
            params=params,
            optimizer=memory,
            average=average,
            best=jax.tree.map(lambda a, b: jnp.where(better, a, b), average, state.best),
            best_loss=jnp.where(better & rules.validates, loss, state.best_loss),
            checks_since_best=since.astype(jnp.int32),
            stopped=state.stopped | (since >= patience) | ~jnp.isfinite(total),
        )
        return new, total / n_steps, loss

    return judge


class Batches:
    """Which rows each member sees at each step: epochs of all its training rows, each shuffled anew."""

    def __init__(self, rows: list[NDArray[np.intp]], batch: int, seed: int, *, same: bool) -> None:
        self.rows, self.batch, self.seed, self.same = rows, batch, seed, same

    def between(self, first: int, count: int) -> NDArray[np.int32]:
        """Return the rows of steps `first` to `first + count`, shape (members, count, batch)."""
        wanted = np.arange(first * self.batch, (first + count) * self.batch)
        return np.stack([self._of(m, wanted) for m in range(len(self.rows))]).reshape(-1, count, self.batch)

    def _of(self, member: int, wanted: NDArray[np.intp]) -> NDArray[np.int32]:
        rows = self.rows[member]
        epoch, place = np.divmod(wanted, len(rows))
        found = np.empty(len(wanted), dtype=np.int32)
        for one in np.unique(epoch):
            key = (0 if self.same else member, int(one))
            shuffled = np.random.default_rng([self.seed, *key]).permutation(len(rows))
            found[epoch == one] = rows[shuffled[place[epoch == one]]]
        return found


def validation_blocks(rows: list[NDArray[np.intp]], batch: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return validation rows and whether they count, (members, blocks, batch): padded to whole blocks, equally many."""
    blocks = max(1, -(-max(len(of_member) for of_member in rows) // batch))
    index = np.zeros((len(rows), blocks * batch), dtype=np.int32)
    present = np.zeros((len(rows), blocks * batch), dtype=np.float32)
    for member, of_member in enumerate(rows):
        index[member, : len(of_member)] = of_member
        present[member, : len(of_member)] = 1.0
    shape = (len(rows), blocks, batch)
    return index.reshape(shape), present.reshape(shape)


def padded(data: Mapping[str, NDArray[Any]], length: int) -> dict[str, NDArray[Any]]:
    """Return `data` with rows of zeros appended up to `length`, floats as float32."""
    out = {}
    for name, values in data.items():
        kind = np.float32 if values.dtype.kind == "f" else np.int32 if values.dtype.kind in "iu" else values.dtype
        array = np.zeros((length, *values.shape[1:]), dtype=kind)
        array[: len(values)] = values
        out[name] = array
    return out

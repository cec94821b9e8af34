"""One network for the moments of two variables given place, trained on all stars and without each jackknife fold.

The functional (E X, Var X, E Y, Var Y, corr) is elicitable: both scores here are smallest, on average, at the truth.
All members start from the same weights and see the same batches; a member's own fold only has weight zero. Otherwise
the noise of the optimiser, times the number of folds, would be the error.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hven.methods.models import register

Array = NDArray[np.float64]
Score = Literal["elicitable", "gaussian_nll"]
KIND = "conditional-correlation"


@dataclass(frozen=True)
class ConditionalMoments:
    """Networks of equal shape, member 0 trained on all stars, member k without fold k - 1.

    Attributes
    ----------
    weights
        Arrays by name, the member's axis first: ``weight_0`` (m, width, 2), ``bias_0`` (m, width), and so on.
    mean, std
        Of (r_gal, |z_gal|) in kpc, which the networks' inputs were scaled by, shape (2,).
    score
        What was minimised.
    columns
        The two variables.
    """

    weights: dict[str, NDArray[np.float32]]
    mean: Array
    std: Array
    score: str
    columns: tuple[str, str]

    @property
    def n_folds(self) -> int:
        """Number of jackknife folds."""
        return len(self.weights["bias_0"]) - 1

    def moments(self, r_gal: Array, abs_z_gal: Array) -> Array:
        """Return mean and variance of x, mean and variance of y and rho at each place, by member: (m, n, 5)."""
        place = (np.column_stack([r_gal, abs_z_gal]) - self.mean) / self.std
        value = np.broadcast_to(place, (self.n_folds + 1, *place.shape))
        depth = len(self.weights) // 2
        for k in range(depth):
            value = np.einsum("mni,moi->mno", value, self.weights[f"weight_{k}"].astype(np.float64))
            value = value + self.weights[f"bias_{k}"][:, None, :]
            if k < depth - 1:
                value = value / (1 + np.exp(-value))
        return np.stack(
            [
                value[..., 0],
                _softplus(value[..., 1]),
                value[..., 2],
                _softplus(value[..., 3]),
                0.999 * np.tanh(value[..., 4]),
            ],
            axis=-1,
        )

    def correlation(self, r_gal: Array, abs_z_gal: Array) -> tuple[Array, Array]:
        """Return rho (n,) of all stars and its delete-a-fold jackknife error, sqrt((n_folds - 1) var(rho))."""
        rho = self.moments(r_gal, abs_z_gal)[..., 4]
        folds = rho[1:]
        return rho[0], np.sqrt((len(folds) - 1) * folds.var(axis=0)) if len(folds) else np.full(rho.shape[1], np.nan)

    def spec(self) -> dict[str, Any]:
        """Return what is not an array."""
        return {"kind": KIND, "score": self.score, "columns": list(self.columns)}

    def arrays(self) -> dict[str, Any]:
        """Return the arrays by name."""
        return {**self.weights, "place_mean": self.mean, "place_std": self.std}

    @classmethod
    def build(cls, arrays: dict[str, Any], spec: dict[str, Any]) -> "ConditionalMoments":
        """Return the model that `spec` and `arrays` describe."""
        weights = {n: v for n, v in arrays.items() if not n.startswith("place_")}
        first, second = spec["columns"]
        return cls(weights, arrays["place_mean"], arrays["place_std"], str(spec["score"]), (first, second))


register(KIND, ConditionalMoments)


def elicitable_score(a: Any, x: Any, y: Any) -> Any:
    """Return the score of arXiv:2306.09319 for moments `a` (..., 5) of x and y.

    S = (a1^2 - 2 a2 - 2 a1 x + x^2)/a2^2 + (a3^2 - 2 a4 - 2 a3 y + y^2)/a4^2 + (a5 - x y)^2 with
    a5 = sqrt(a2 a4) rho + a1 a3; `a` is (a1, a2, a3, a4, rho).
    """
    import jax.numpy as jnp

    m, s, n, t, rho = (a[..., i] for i in range(5))
    product = jnp.sqrt(s * t) * rho + m * n
    return ((m - x) ** 2 - 2 * s) / s**2 + ((n - y) ** 2 - 2 * t) / t**2 + (product - x * y) ** 2


def gaussian_score(a: Any, x: Any, y: Any) -> Any:
    """Return -ln of the bivariate Gaussian density of moments `a` (..., 5): consistent for the same moments."""
    import jax.numpy as jnp

    m, s, n, t, rho = (a[..., i] for i in range(5))
    p, q, rest = (x - m) / jnp.sqrt(s), (y - n) / jnp.sqrt(t), 1 - rho**2
    return 0.5 * (jnp.log(s) + jnp.log(t) + jnp.log(rest) + (p**2 - 2 * rho * p * q + q**2) / rest)


SCORES = {"elicitable": elicitable_score, "gaussian_nll": gaussian_score}


def train(
    place: Array, x: Array, y: Array, w: Array, fold: NDArray[np.int64], n_folds: int, *,
    score: Score, columns: tuple[str, str], width: int, depth: int, steps: int, batch: int,
    learning_rate: float, seed: int,
) -> tuple[ConditionalMoments, Array]:  # fmt: skip
    """Return the trained members and their mean loss in each of up to 30 stretches of training, (stretches, members).

    Parameters
    ----------
    place
        r_gal and |z_gal|, shape (n, 2).
    x, y
        Normal scores, shape (n,).
    w
        How often each star counts.
    fold
        To which fold each star belongs, 0 to `n_folds` - 1.
    n_folds, score, columns, width, depth, steps, batch, learning_rate, seed
        Of the model and its training.
    """
    import jax

    mean, std = np.average(place, axis=0, weights=w), place.std(axis=0)
    std = np.where(std > 0, std, 1.0)
    rows = np.column_stack([(place - mean) / std, x, y, w, fold]).astype(np.float32)
    stretches = min(30, steps)
    per_stretch = -(-steps // stretches)
    total = stretches * per_stretch
    rng = np.random.default_rng(seed)
    epochs = -(-total * batch // len(rows))
    index = np.concatenate([rng.permutation(len(rows)) for _ in range(epochs)])[: total * batch]
    index = index.reshape(stretches, per_stretch, batch).astype(np.int32)
    start = _first_weights(width, depth, rng)
    members = {name: np.repeat(values[None], n_folds + 1, axis=0) for name, values in start.items()}
    run, begin = _compiled(score, learning_rate, total)
    state = begin(members)
    data, losses = jax.device_put(rows), []
    for chunk in index:
        state, loss = run(state, data, chunk, np.arange(-1, n_folds, dtype=np.float32))
        losses.append(np.asarray(loss))
    weights = {name: np.asarray(values) for name, values in state[0].items()}
    return ConditionalMoments(weights, mean, std, score, columns), np.asarray(losses, dtype=np.float64)


@lru_cache(maxsize=8)
def _compiled(score: Score, learning_rate: float, total: int) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp
    import optax  # type: ignore[import-untyped]

    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, max(1, total // 20), total, 0.01 * learning_rate)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4))

    def loss_of(weights: Any, rows: Any, fold: Any) -> Any:
        counts = jnp.where(rows[:, 5] == fold, 0.0, rows[:, 4])
        losses = SCORES[score](_moments(weights, rows[:, :2]), rows[:, 2], rows[:, 3])
        return jnp.sum(counts * losses) / jnp.maximum(jnp.sum(counts), 1e-6)

    def step(weights: Any, memory: Any, rows: Any, fold: Any) -> tuple[Any, Any, Any]:
        value, slope = jax.value_and_grad(loss_of)(weights, rows, fold)
        updates, memory = optimizer.update(slope, memory, weights)
        return optax.apply_updates(weights, updates), memory, value

    def stretch(state: Any, data: Any, index: Any, folds: Any) -> tuple[Any, Any]:
        every_member: Any = jax.vmap(step, in_axes=(0, 0, None, 0))

        def one(carry: Any, chosen: Any) -> tuple[Any, Any]:
            weights, memory, value = every_member(*carry, data[chosen], folds)
            return (weights, memory), value

        state, values = jax.lax.scan(one, state, index)
        return state, values.mean(axis=0)

    def begin(members: Any) -> Any:
        return members, jax.vmap(optimizer.init)(members)

    return jax.jit(stretch), jax.jit(begin)


def _moments(weights: Any, place: Any) -> Any:
    import jax
    import jax.numpy as jnp

    depth = len(weights) // 2
    value = place
    for k in range(depth):
        value = value @ weights[f"weight_{k}"].T + weights[f"bias_{k}"]
        if k < depth - 1:
            value = jax.nn.silu(value)
    spread = jax.nn.softplus(value) + 1e-3
    return jnp.stack([value[:, 0], spread[:, 1], value[:, 2], spread[:, 3], 0.999 * jnp.tanh(value[:, 4])], axis=-1)


def _softplus(value: Array) -> Array:
    return np.logaddexp(value, 0.0) + 1e-3


def _first_weights(width: int, depth: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    sizes = [2, *[width] * depth, 5]
    out = {}
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        scale = np.sqrt((2 if k < depth else 0.1) / n_in)
        out[f"weight_{k}"] = (scale * rng.standard_normal((n_out, n_in))).astype(np.float32)
        out[f"bias_{k}"] = np.zeros(n_out, dtype=np.float32)
    out[f"bias_{depth}"][[1, 3]] = 0.54  # softplus(0.54) = 1: normal scores have unit variance
    return out

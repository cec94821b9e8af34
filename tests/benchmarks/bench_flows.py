"""Conditional flows: densities on a grid against a loop over points."""

from pathlib import Path

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from hven.methods import flows

ROWS, GRID, LOOPED = 500, 200, 200


@benchmark(target=100, against="a loop of compiled calls, one point each, of the same flow, per point")
def density_on_a_grid(folder: Path) -> float:
    """Speed of 500 posteriors on 200 points each."""
    import equinox as eqx
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    context = rng.normal(size=(2_000, 2))
    flow = flows.fit(context[:, :1] + 0.3 * rng.normal(size=(2_000, 1)), context, steps=100)
    grid = np.linspace(-3, 3, GRID)
    one_point = eqx.filter_jit(lambda net, x, c: net.log_prob(x, c))
    points = jnp.asarray(flow.x_scaler.to_standard(grid[:, None]), jnp.float32)
    given = jnp.asarray(flow.context_scaler.to_standard(context[:1])[0], jnp.float32)

    def looped() -> list[float]:
        return [float(one_point(flow.net, points[i % GRID], given)) for i in range(LOOPED)]

    whole = flow.log_prob_grid(context[:ROWS], grid)
    assert np.allclose(whole[0] + np.log(flow.x_scaler.std), looped(), atol=1e-4)
    ours, peer = best_of_each(lambda: flow.log_prob_grid(context[:ROWS], grid), looped, rounds=5)
    return (peer / LOOPED) / (ours / (ROWS * GRID))

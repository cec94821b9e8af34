"""Predicted correlations of 85 elements with their derivatives, against the double loop over pairs in Python."""

from pathlib import Path

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from hven.methods import in_float64
from hven_plugins.abundances import Physics, default_channels
from hven_plugins.abundances.diffusion import field_of, sources_at

ELEMENTS = 85


def table() -> tuple[np.ndarray, np.ndarray]:
    """Return fractions and delays of 85 elements: those of the default table, shifted by some per cent each."""
    rng = np.random.default_rng(0)
    channels = default_channels()
    f = np.resize(channels.fractions[:, :3], (ELEMENTS, 3)) * rng.uniform(0.9, 1.1, (ELEMENTS, 3))
    t = np.resize(channels.delays[:, :3], (ELEMENTS, 3)) * rng.uniform(0.9, 1.1, (ELEMENTS, 3))
    return f / f.sum(axis=1, keepdims=True), t


def with_units(f: np.ndarray, t: np.ndarray, pairs: int) -> np.ndarray:
    """Return the first covariances as scripts compute them, pair by pair, with astropy units throughout."""
    from astropy import units as u

    physics = Physics()
    kappa, l_corr = physics.kappa * u.pc**2 / u.Myr, physics.l_corr * u.pc
    sigma_v = physics.sigma_v * u.pc / u.Myr
    widths, delays = [s * u.pc for s in physics.widths], t * u.Myr
    out = []
    for n in range(pairs):
        x, y = divmod(n, ELEMENTS)
        total = 0.0
        for i in range(3):
            for j in range(3):
                own = widths[i] ** 2 + widths[j] ** 2
                gap = abs(delays[x, i] - delays[y, j])
                v_min = 2 * kappa * gap + own
                v_max = 4 * l_corr**2 - 2 * kappa * (delays[x, i] + delays[y, j]) + own
                d2 = (sigma_v * gap) ** 2
                total += f[x, i] * f[y, j] * np.log(((v_max + d2) / (v_min + d2)).to_value(u.one))
        out.append(total)
    return np.array(out)


def compiled(f: np.ndarray, t: np.ndarray) -> object:
    """Return a function without arguments: the matrix and its derivatives by six parameters, compiled."""
    import jax
    import jax.numpy as jnp

    def matrix(p: object) -> object:
        physics = Physics(l_corr=p[0], kappa=p[1], sigma_v=p[2], sigma_cc=p[3], sigma_agb=p[4], sigma_ia=p[5])
        return field_of(sources_at(f, t, jnp), physics, xp=jnp).correlation(jnp)

    at = np.array([1000.0, 358.0, 2.0, 60.0, 2.0, 60.0])
    both = jax.jit(lambda p: (matrix(p), jax.jacfwd(matrix)(p)))
    return in_float64(lambda: jax.block_until_ready(both(at)))


@benchmark(target=50.0, unit="ms", better="lower", against="the specification: 85 x 85 and 6 derivatives, compiled")
def abundance_correlations_predicted(folder: Path) -> float:
    """Milliseconds for 85 x 85 predicted correlations with their derivatives by six parameters."""
    f, t = table()
    work = compiled(f, t)
    value, slopes = work()
    assert value.shape == (ELEMENTS, ELEMENTS)
    assert np.isfinite(np.asarray(slopes)).all()
    return 1e3 * best_of_each(work, rounds=9)[0]


@benchmark(target=1000, against="a loop over pairs with astropy units, without derivatives, 200 pairs extrapolated")
def abundance_correlations_against_a_loop(folder: Path) -> float:
    """Speed of all 7225 covariances and derivatives."""
    f, t = table()
    some = 200
    work = compiled(f, t)
    physics = Physics()
    ours = field_of(sources_at(f, t), physics).covariance.ravel()[:some]
    theirs = with_units(f, t, some)
    np.testing.assert_allclose(ours / ours[0], theirs / theirs[0], rtol=1e-9)
    work()
    fast, slow = best_of_each(work, lambda: with_units(f, t, some), rounds=3)
    return slow * ELEMENTS**2 / some / fast

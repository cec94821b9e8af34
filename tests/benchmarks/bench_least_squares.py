"""Least squares: many small problems at once against SciPy one by one, and spectra a second."""

from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.optimize import least_squares as scipy_least_squares

from benchmarks.harness import benchmark, best_of_each
from hven.methods.least_squares import batched_lm

ROWS, PIXELS, SCIPY_ROWS = 10_000, 61, 500
SPECTRA, SPECTRUM_PIXELS, LINES = 2_000, 600, 4
START = np.array([1.0, 0.0, 0.7, 0.0])
LIMITS = ([0.0, -2.0, 0.1, -1.0], [5.0, 2.0, 3.0, 1.0])
GRID = np.linspace(-3, 3, PIXELS)
WAVELENGTH = np.linspace(5000, 5600, SPECTRUM_PIXELS)
CENTRES = np.array([5080.0, 5210.0, 5330.0, 5480.0])


def profile(p: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """Residuals of an emission line on a constant, for either engine."""
    import jax.numpy as jnp

    numpy = np if isinstance(p, np.ndarray) else jnp
    return (p[0] * numpy.exp(-0.5 * ((GRID - p[1]) / p[2]) ** 2) + p[3] - flux) / 0.05


def spectrum(p: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """Residuals of a spectrum: continuum with a slope, and four absorption lines of one width and velocity."""
    import jax.numpy as jnp

    continuum = p[0] * (1 + p[1] * (WAVELENGTH - 5300) / 300)
    centres = CENTRES * (1 + p[2] / 299_792.458)
    lines = jnp.exp(-0.5 * ((WAVELENGTH[:, None] - centres) / p[3]) ** 2) @ p[4 : 4 + LINES]
    return (continuum * (1 - lines) - flux) / 0.02


@benchmark(target=50, against="a loop of scipy's least_squares with MINPACK, per object")
def least_squares_of_small_problems(folder: Path) -> float:
    """Speed of fitting 10,000 lines with 4 parameters on 61 pixels, at the same optima (1e-3 of an error)."""
    rng = np.random.default_rng(0)
    low, high = np.array([[0.5, -1, 0.4, -0.2], [2, 1, 1, 0.2]])
    truth = rng.uniform(low, high, (ROWS, 4))
    shape = np.exp(-0.5 * ((GRID - truth[:, 1:2]) / truth[:, 2:3]) ** 2)
    flux = truth[:, :1] * shape + truth[:, 3:] + rng.normal(scale=0.05, size=(ROWS, PIXELS))
    fit = batched_lm(profile, START, (flux,), bounds=LIMITS)
    alone = np.array([scipy_least_squares(profile, START, method="lm", args=(row,)).x for row in flux[:SCIPY_ROWS]])
    alone[:, 2] = np.abs(alone[:, 2])  # a width and its negative are the same profile
    off = np.abs(fit.p[:SCIPY_ROWS] - alone) / fit.err[:SCIPY_ROWS]
    assert np.mean(fit.converged) > 0.999
    assert np.mean(off.max(axis=1) < 1e-3) > 0.99, "SciPy without bounds is lost in less than one row of a hundred"

    ours, peer = best_of_each(
        lambda: batched_lm(profile, START, (flux,), bounds=LIMITS),
        lambda: [scipy_least_squares(profile, START, method="lm", args=(row,)) for row in flux[:SCIPY_ROWS]],
        rounds=5,
    )
    return (peer / SCIPY_ROWS) / (ours / ROWS)


@benchmark(target=500, unit="spectra/s", against="nothing: 600 pixels, 8 parameters, the whole machine")
def least_squares_of_spectra(folder: Path) -> float:
    """Spectra fitted a second."""
    rng = np.random.default_rng(1)
    truth = np.column_stack(
        [
            rng.uniform(0.8, 1.2, SPECTRA),
            rng.normal(scale=0.1, size=SPECTRA),
            rng.normal(scale=60, size=SPECTRA),
            rng.uniform(3, 6, SPECTRA),
            *rng.uniform(0.2, 0.6, (LINES, SPECTRA)),
        ]
    )
    start = np.array([1.0, 0.0, 0.0, 4.0, *[0.4] * LINES])
    clean = 0.02 * np.array([spectrum(p, np.zeros(SPECTRUM_PIXELS)) for p in truth])
    flux = clean + rng.normal(scale=0.02, size=clean.shape)
    fit = batched_lm(spectrum, start, (flux,))
    assert np.mean(np.abs(fit.p - truth) < 5 * fit.err) > 0.999

    began = perf_counter()
    batched_lm(spectrum, start, (flux,))
    return SPECTRA / (perf_counter() - began)

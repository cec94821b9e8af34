"""Metallicity gradients: the analysis against sampling of the same posterior, and a survey of five million stars."""

import time
from pathlib import Path

import numpy as np

from benchmarks.bench_eiv import sampler_of
from benchmarks.harness import benchmark, best_of_each
from hven.mocks import gradient_stars, residual_stars
from hven_plugins.gradients import metallicity_gradients, metallicity_maps, metallicity_residuals

SAMPLED, STARS, BINS = 10_000, 5_000_000, 20


@benchmark(target=100, against="NumPyro's NUTS on the same likelihood, compiled, 2 x (500 + 1,000) draws")
def metallicity_gradient(folder: Path) -> float:
    """Speed of the analysis, figures' profiles included, on 10,000 stars; same slope to 0.15 sigma, error to 15 %."""
    table = gradient_stars(SAMPLED, 1).inputs["stars"].drop_vars("teff")
    sample = sampler_of(*(table[name].values for name in ("r_gal", "feh", "r_gal_err", "feh_err")))
    slopes = sample()["slope"]
    told = metallicity_gradients(table, r_ref=8.0, n_components=1)
    off = (slopes.mean() - float(told.slope[0])) / float(told.slope_err[0])
    width = slopes.std() / float(told.slope_err[0]) - 1
    print(f"  mean differs by {off:+.2f} sigma, width by {100 * width:+.0f} %")
    assert abs(off) < 0.15
    assert abs(width) < 0.15
    fit, sampling = best_of_each(lambda: metallicity_gradients(table, r_ref=8.0, n_components=1), sample, rounds=3)
    return sampling / fit


@benchmark(target=1.0, against="60 s: gradients, residuals and maps with two-point functions, 20 populations")
def survey_of_five_million_stars(folder: Path) -> float:
    """How many times faster than a minute; slopes, dispersions and numbers of stars are those of the mock."""
    made = residual_stars(STARS, 1, slope=np.linspace(-0.015, -0.07, BINS), patches=5)
    table = made.inputs["stars"].drop_vars(["delta_feh", "delta_feh_err", "z_gal"])
    began = time.perf_counter()
    gradients = metallicity_gradients(table, bins=BINS, n_components=1)
    fitted = time.perf_counter()
    left = metallicity_residuals(table, gradients)
    residuals = table.assign({name: left[name] for name in left.data_vars})
    maps = metallicity_maps(residuals, n_shuffles=10)
    ended = time.perf_counter()
    print(f"  gradients {fitted - began:.1f} s, residuals and maps {ended - fitted:.1f} s")
    assert int(maps[""].n_stars.sum()) > 0.99 * STARS
    assert np.abs(gradients.slope.values - made.truth["slope"]).max() < 0.02
    return 60 / (ended - began)

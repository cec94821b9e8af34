"""Distances of stars that are not as the model of the red clump has them: by how much their errors then hold."""

import numpy as np
import pytest
import xarray as xr

from hven.plugins import evaluate
from hven.testing import coverage, stressors
from hven_plugins.distances.red_clump import red_clump_distances

STARS, MAG, SCATTER = 600, -1.622, 0.09


def clump(seed):
    """Return stars of one true distance each, with errors of all sizes in Ks; nothing scatters about the clump."""
    rng = np.random.default_rng(seed)
    distance, a_k = rng.uniform(0.5, 8, STARS), rng.exponential(0.15, STARS)
    columns = {
        "ra": (rng.uniform(0, 360, STARS), "deg"),
        "dec": (rng.uniform(-60, 60, STARS), "deg"),
        "ks_mag": (MAG + 5 * np.log10(distance) + 10 + a_k, "mag"),
        "a_k": (a_k, "mag"),
        "a_k_err": (np.full(STARS, 1e-4), "mag"),
    }
    made = xr.Dataset({name: ("object", values, {"units": unit}) for name, (values, unit) in columns.items()})
    return stressors.heteroscedastic(made, "ks_mag", 0.02, spread=0.7, seed=seed + 1), distance


def pulls(stars, distance):
    """Return what `coverage` asks for, of each star: its modulus, whose error is symmetric, less the truth."""
    found = evaluate(red_clump_distances, {"stars": stars}, {})[""]
    modulus = 5 * np.log10(found["distance"].values / distance)
    error = found["distance_err"].values / found["distance"].values * 5 / np.log(10)
    return lambda star: (modulus[star], error[star])


@pytest.mark.parametrize("sigmas", [1.0, 2.0])
def test_errors_hold_where_the_clump_scatters_as_it_is_said_to(sigmas):
    stars, distance = clump(11)
    stars = stars.assign(ks_mag=stars.ks_mag + np.random.default_rng(12).normal(0, SCATTER, STARS))
    coverage(pulls(stars, distance), 0.0, range(STARS), sigmas=sigmas).check()


def test_skewed_scatter_of_the_same_size_leaves_two_sigma_near_what_they_say():
    stars, distance = clump(21)
    stars = stressors.skewed(stars, "ks_mag", SCATTER, shape=2.0, seed=22)
    coverage(pulls(stars, distance), 0.0, range(STARS), sigmas=2.0).check(slack=0.02)


def test_without_that_scatter_the_errors_are_seen_to_be_too_large_and_with_twice_of_it_too_small():
    stars, distance = clump(31)
    assert coverage(pulls(stars, distance), 0.0, range(STARS)).verdict().startswith("too often")
    wide = stressors.skewed(stars, "ks_mag", 2 * SCATTER, shape=50.0, seed=32)
    assert coverage(pulls(wide, distance), 0.0, range(STARS)).verdict().startswith("too seldom")

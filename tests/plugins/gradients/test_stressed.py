"""Gradients of data that the model did not make: their errors hold, in both directions."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from hven.plugins import evaluate
from hven.testing import coverage, null_rate, stressors
from hven_plugins.gradients.gradients import metallicity_gradients

SLOPE, STARS, SEEDS = -0.06, 300, range(7_000, 7_070)


def disc(seed, slope=SLOPE):
    """Return stars on a line, without scatter or errors of [Fe/H]."""
    r_gal = np.random.default_rng(seed).gamma(9.0, 0.9, STARS)
    feh = slope * (r_gal - 8.122)
    return xr.Dataset({"r_gal": ("object", r_gal, {"units": "kpc"}), "feh": ("object", feh, {"units": "dex"})})


def skewed(seed, slope=SLOPE):
    made = stressors.skewed(disc(seed, slope), "feh", 0.12, seed=seed + 1)
    return stressors.heteroscedastic(made, "feh", 0.05, spread=0.6, seed=seed + 2)


STRESSED = {
    "skewed scatter, errors of all sizes": skewed,
    "rounded to a tenth": lambda seed: stressors.rounded(skewed(seed), "feh", 1),
    "truncated in radius": lambda seed: stressors.truncated(skewed(seed), "r_gal", low=5, high=10, ramp=1, seed=seed),
    "errors stated 30 % too large": lambda seed: stressors.misstated(skewed(seed), "feh", 1.3),
    "errors stated 30 % too small": lambda seed: stressors.misstated(skewed(seed), "feh", 0.7),
}


def measured(stars):
    found = evaluate(metallicity_gradients, {"stars": stars}, {"bins": 1})[""]
    return float(found["slope"].values.ravel()[0]), float(found["slope_err"].values.ravel()[0])


_AT_ONCE = ("skewed scatter, errors of all sizes", "errors stated 30 % too small")


@pytest.mark.parametrize(
    "stress", [name if name in _AT_ONCE else pytest.param(name, marks=pytest.mark.slow) for name in STRESSED]
)
def test_the_error_of_a_slope_holds_in_both_directions(stress):
    # The intrinsic scatter takes up what errors of [Fe/H] do not say.
    coverage(lambda seed: measured(STRESSED[stress](seed)), SLOPE, SEEDS).check(slack=0.05)


def test_without_a_gradient_one_is_found_as_often_as_the_level_says():
    def p_value(seed):
        slope, error = measured(skewed(seed, slope=0.0))
        return 2 * norm.sf(abs(slope / error))

    null_rate(p_value, SEEDS, level=0.1).check(slack=0.03)

"""Stars around the Sun with distances good to some per cent of what is observed, none of them of hven's mocks."""

import numpy as np
import pytest
import xarray as xr

from hven.errors import ParameterError
from hven.methods.frames import SOLAR, galactocentric, sky_position
from hven_plugins.gradients import metallicity_gradients
from hven_plugins.gradients.sightlines import expected_radii, sightlines

UNITS = {"ra": "deg", "dec": "deg", "distance": "kpc", "distance_err": "kpc", "feh": "dex", "feh_err": "dex"}


def disc(seed, share, n, *, r_range=None, power=1.0):
    """Return n stars of a true gradient of -.060 and their true radii; errors are `share` of the observed distance.

    With a `power` of 2 they are those of inverted parallaxes.
    """
    rng = np.random.default_rng(seed)
    d, longitude = rng.gamma(3.0, 0.9, 8 * n), rng.uniform(0, 2 * np.pi, 8 * n)
    x, y = d * np.cos(longitude) - SOLAR.r0, d * np.sin(longitude)
    r = np.hypot(x, y)
    kept = np.flatnonzero((r > 3) & (rng.random(8 * n) < np.exp(-(r - 3) / 4)))
    d, x, y, r = d[kept], x[kept], y[kept], r[kept]
    feh = 0.1 - 0.06 * (r - 8.122) + rng.normal(scale=np.hypot(0.06, 0.03), size=len(r))
    sky = sky_position(x, y, np.full(len(r), SOLAR.z_sun))
    observed = np.maximum(d * (1 + share * rng.normal(size=len(d))), 0.02)
    seen = galactocentric(sky.ra, sky.dec, observed).r_gal
    low, high = r_range or (0.0, np.inf)
    used = np.flatnonzero((seen > low) & (seen < high))[:n]
    columns = {
        "ra": sky.ra, "dec": sky.dec, "distance": observed, "distance_err": share * observed**power, "feh": feh,
        "feh_err": np.full(len(r), 0.03),
    }  # fmt: skip
    return xr.Dataset({k: ("object", v[used], {"units": UNITS[k]}) for k, v in columns.items()}), r[used]


def slopes(n, share, seeds, *, r_range=None):
    parameters = {} if r_range is None else {"r_range": list(r_range)}
    results = [
        metallicity_gradients(disc(seed, share, n, r_range=r_range)[0], n_components=1, **parameters) for seed in seeds
    ]
    assert all(r.fit.values.tolist() == ["ok"] for r in results)
    return np.array([(float(r.slope[0]), float(r.slope_err[0])) for r in results])


@pytest.mark.t1
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_errors_from_the_observed_distance_do_not_bias_the_gradient(share):
    """Truth -.060; was -.0601, -.0611, -.0626 with 68 % coverage .50, .20, .10 for distances good to 10, 20, 30 %.

    Measured over 16 samples of 3000 stars: -.0600, -.0599, -.0598, coverage .62 each; of 300 stars (40 samples) -.0604
    and -.0596 at 10 and 30 %, coverage .62 and .70; of 30,000 stars (6 samples) -.0599 and -.0599.
    """
    found = slopes(3000, share, range(3))
    assert abs(found[:, 0].mean() + 0.06) < 0.0015
    assert np.mean(np.abs(found[:, 0] + 0.06) < 2.5 * found[:, 1]) > 0.9


@pytest.mark.t1
def test_a_cut_on_the_observed_radius_is_put_back():
    """Cut at 5 to 14 kpc: -.0596 and -.0588 at 10 and 30 % over 16 samples of 3000 stars, coverage .50 and .38.

    Without `r_range` -.0603 and -.0637 (.33, 0), with errors of the radius alone, as before, -.0606 and -.0667 (.42,
    0), over 12 of them. The target of .60 to .76 is not met: the stated errors are 20 to 25 % too small.
    """
    cut = (5.0, 14.0)
    assert abs(slopes(3000, 0.1, range(3), r_range=cut)[:, 0].mean() + 0.06) < 0.0015


def test_expected_radii_have_the_mean_and_the_spread_of_the_true_ones():
    """What is left of the true radius has no trend with the expected one; with the observed one it has -.037."""
    stars, truth = disc(1, 0.2, 4000)
    seen = sightlines(stars, SOLAR)
    mean, variance = expected_radii(seen)
    off = truth - mean
    assert abs(off.mean()) < 0.05
    calibrated = np.polyfit(mean, off, 1)[0]
    assert np.mean(off**2) == pytest.approx(variance.mean(), rel=0.15)
    raw = truth - galactocentric(*(stars[n].values for n in ("ra", "dec", "distance"))).r_gal
    assert abs(calibrated) < 0.02
    assert abs(np.polyfit(truth - raw, raw, 1)[0]) > 0.03


def test_what_lines_of_sight_cannot_serve_is_a_caveat_or_refused():
    stars, _ = disc(2, 0.05, 400, power=2.0)
    told = " ".join(metallicity_gradients(stars, n_components=1).attrs["caveats"])
    assert "grow faster than the distance" in told
    with pytest.raises(ParameterError, match="without lines of sight"):
        metallicity_gradients(stars, n_components=1, r_range=[5.0, 14.0])
    with pytest.raises(ParameterError, match="r_range is"):
        metallicity_gradients(stars, n_components=1, r_range=[14.0, 5.0])


def test_deblurring_knows_of_no_cut_and_says_so():
    stars, _ = disc(4, 0.1, 400, r_range=(5.0, 14.0))
    hot = {"teff": ("object", np.linspace(5000, 7000, 400), {"units": "K"})}
    stars = stars.assign(hot).assign(teff_err=("object", np.full(400, 100.0), {"units": "K"}))
    with pytest.raises(ParameterError, match="hmc or r_range"):
        metallicity_gradients(stars, bins=2, n_components=1, deblur=True, r_range=[5.0, 14.0])

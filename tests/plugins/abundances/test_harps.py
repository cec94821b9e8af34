"""Real dwarfs: HARPS-GTO abundances of Delgado Mena et al. 2017 with ages of Anders et al. 2018."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hven.methods import eiv
from hven_plugins.abundances import abundance_correlations

FILE = "abundances/harps_gto_delgadomena2017_ages_kinematics.fits"
SHARED = os.environ.get("HVEN_SHARED_DATA", "")
COLUMNS = {
    "mg": ("MgFe", "errMg"), "al": ("AlFe", "errAl"), "si": ("SiFe", "errSi"), "ca": ("CaFe", "errCa"),
    "ti": ("TiIFe", "errTiI"), "cu": ("CuFe", "errCu"), "zn": ("ZnFe", "errZn"), "sr": ("SrFe", "errSr"),
    "y": ("YFe", "errY"), "zr": ("ZrIIFe", "errZrII"), "ba": ("BaFe", "errBa"), "ce": ("CeFe", "errCe"),
    "nd": ("NdFe", "errNd"), "eu": ("EuFe", "errEu"),
}  # fmt: skip


@pytest.fixture(scope="module")
def dwarfs():
    """Return 508 dwarfs between 5300 and 6300 K, whose errors are not those of blended cool spectra."""
    from astropy.io import fits

    path = Path(SHARED) / FILE
    if not SHARED or not path.is_file():
        pytest.skip(f"HVEN_SHARED_DATA names no folder with {FILE}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = fits.getdata(path, 1)
    columns = {
        f"{x}_fe{end}": table[name]
        for x, names in COLUMNS.items()
        for end, name in zip(("", "_err"), names, strict=True)
    }
    columns |= {"feh": table["feh"], "feh_err": table["erfeh"], "age": table["meanage"], "age_err": table["agestd"]}
    columns |= {"teff": table["Teff"]}
    stars = xr.Dataset({name: ("object", np.asarray(values, dtype=np.float64)) for name, values in columns.items()})
    for x in COLUMNS:
        stars[f"{x}_fe_err"] = stars[f"{x}_fe_err"].where(stars[f"{x}_fe_err"] < 9)  # 9.99 where there is none
    return stars.isel(object=np.flatnonzero((stars.teff > 5300) & (stars.teff < 6300)))


@pytest.mark.t1
def test_fifteen_elements_of_harps_dwarfs_correlate_by_family(dwarfs):
    """[X/Fe] of 508 dwarfs: alpha elements with each other (Mg, Si .90; Mg, Ti .84), s-process elements with each other
    (Y, Ba .68; Ba, Ce .66), and one family with the other not (Mg, Ba -.17). With iron, 15 elements over hydrogen.

    Expected: the alpha enhancement of the thick disc, and Y, Zr, Ba, Ce, Nd as one family (Delgado Mena et al. 2017).
    NumPy on the same stars is the oracle of the naive matrix. The published errors of many elements exceed what their
    scatter about the families allows (calcium, strontium, europium), as the flags tell: 20 of 91 pairs lie above one,
    and four so far above that they have no value.
    """
    result = abundance_correlations(dwarfs, scale="fe", n_boot=100)[""]
    assert result.element.values.tolist() == [
        "Mg",
        "Al",
        "Si",
        "Ca",
        "Ti",
        "Cu",
        "Zn",
        "Sr",
        "Y",
        "Zr",
        "Ba",
        "Ce",
        "Nd",
        "Eu",
    ]
    naive = result.correlation_naive.to_pandas()
    x, y = (dwarfs[f"{name}_fe"].values for name in ("mg", "ba"))
    known = (dwarfs.mg_fe_err.values > 0) & (dwarfs.ba_fe_err.values > 0)
    assert naive.loc["Mg", "Ba"] == pytest.approx(np.corrcoef(x[known], y[known])[0, 1], abs=1e-12)
    expected = {("Mg", "Si"): 0.90, ("Mg", "Ti"): 0.84, ("Y", "Ba"): 0.68, ("Ba", "Ce"): 0.66, ("Mg", "Ba"): -0.17}
    for (a, b), value in expected.items():
        assert naive.loc[a, b] == pytest.approx(value, abs=0.01), (a, b)
    above, far = ((result.flag == word).values for word in ("above one", "far above one"))
    assert (above.sum(), far.sum()) == (40, 8)
    assert (np.abs(result.correlation.values)[above] > 1).all()
    assert np.isnan(result.correlation.values[far]).all()
    assert (np.abs(result.correlation.values)[~above & ~far] <= 1).all()
    assert any(text.startswith("Correlations above one: ") for text in result.attrs["caveats"])
    over_hydrogen = abundance_correlations(dwarfs, scale="h", n_boot=100)[""]
    assert over_hydrogen.sizes["element"] == 15
    assert float(over_hydrogen.correlation_naive.sel(element="Mg", element2="Fe")) == pytest.approx(0.96, abs=0.01)


@pytest.mark.t1
def test_yttrium_over_magnesium_falls_with_age(dwarfs):
    """Expected -0.040 +- 0.002 dex/Gyr for solar twins (Nissen 2015, A&A 579, A52), from ages to some 0.7 Gyr.

    Plain least squares on 77 stars within 150 K and 0.15 dex of the Sun gives -0.033, StarHorse ages having errors of
    1.2 Gyr; errors in both variables take it further down.
    """
    ratio = dwarfs.y_fe - dwarfs.mg_fe
    err = np.hypot(dwarfs.y_fe_err, dwarfs.mg_fe_err)
    twin = (abs(dwarfs.teff - 5777) < 150) & (abs(dwarfs.feh) < 0.15) & np.isfinite(ratio + err + dwarfs.age)
    chosen = [v.values[twin.values] for v in (dwarfs.age, ratio, dwarfs.age_err, err)]
    assert len(chosen[0]) == 77
    line = eiv.fit(*chosen, x0=5.0, n_components=1)
    assert line.ols.slope == pytest.approx(-0.033, abs=0.001)
    assert line.slope < line.ols.slope
    assert abs(line.slope + 0.040) < 0.006

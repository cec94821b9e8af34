import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import MissingColumnError, ParameterError, UnitError
from hven.plugins import evaluate
from hven.testing import AnalysisSuite
from hven_plugins.distances import hven_analyses, red_clump_distances


class TestRedClumpDistances(AnalysisSuite):
    analysis = red_clump_distances


def stars(**columns):
    """Return stars of these columns, at the Galactic centre's place in the sky unless told otherwise."""
    n = len(next(iter(columns.values())))
    units = {"ra": "deg", "dec": "deg", "teff": "K", "logg": "dex"}
    given = {"ra": np.full(n, 266.4051), "dec": np.full(n, -28.936175)} | columns
    return xr.Dataset({name: ("object", np.asarray(v), {"units": units.get(name, "mag")}) for name, v in given.items()})


def test_the_family_brings_it():
    assert [a.name for a in hven_analyses()] == ["red_clump_distances"]


@pytest.mark.t0
def test_the_distance_is_the_distance_modulus_undone():
    result = red_clump_distances(stars(ks_mag=[10.0], a_k=[0.1]), absolute_mag=-1.6)
    assert result.distance.values == pytest.approx([10 ** ((10.0 + 1.6 - 0.1 + 5) / 5) / 1000])
    assert result.r_gal.values == pytest.approx([8.122 - result.distance.values[0]], abs=1e-4)


@pytest.mark.t1
def test_distances_and_places_are_recovered_within_their_errors():
    """20,000 mock stars; |mean pull| < 0.05 and 0.95 < scatter of pulls < 1.05. Measured: distance -0.02 and 1.00,
    r_gal 1.00, phi_gal 1.00, z_gal 1.00; median error of a distance 4.7 %."""
    mock = red_clump_distances.make_mock(20_000, 1)
    result = evaluate(red_clump_distances, mock.inputs)[""]
    for name, truth in mock.truth.items():
        pull = (result[name].values - truth) / result[f"{name}_err"].values
        assert abs(np.mean(pull)) < 0.05, name
        assert 0.95 < np.std(pull) < 1.05, name
    assert np.median(result.distance_err / result.distance) == pytest.approx(0.047, abs=0.001)


def test_errors_of_magnitude_extinction_and_candle_add_in_quadrature():
    sky = {"ks_mag": [10.0, 10.0], "a_k": [0.1, 0.1], "ks_mag_err": [0.3, np.nan], "a_k_err": [0.4, np.nan]}
    result = red_clump_distances(stars(**sky), scatter=1.2, assumed_ks_mag_err=0.0, assumed_a_k_err=0.0)
    relative = result.distance_err / result.distance
    assert relative.values == pytest.approx(0.2 * np.log(10) * np.array([1.3, 1.2]))


def test_missing_values_give_no_distance_and_say_why():
    sky = stars(
        ra=[266.4, np.nan, 10.0, 10.0], dec=[0.0] * 4, ks_mag=[9.0, 9.0, np.nan, 9.0], a_k=[0.1, 0.1, np.nan, np.nan]
    )
    result = red_clump_distances(sky)
    assert result.distance_flag.values.tolist() == ["ok", "no position", "no magnitude", "no extinction"]
    for name in set(result) - {"distance_flag", "is_red_clump", "is_red_clump_valid"}:
        assert np.isfinite(result[name].values).tolist() == [True, False, False, False], name


def test_extinction_is_taken_as_zero_only_when_told():
    sky = stars(ks_mag=[9.0, 9.0], a_k=[0.0, np.nan])
    result = red_clump_distances(sky, missing_extinction="zero")
    assert result.distance.values[0] == result.distance.values[1]
    assert result.distance_flag.values.tolist() == ["ok", "extinction taken as 0"]
    with pytest.raises(MissingColumnError, match="missing_extinction=zero"):
        red_clump_distances(sky.drop_vars("a_k"))
    assert red_clump_distances(sky.drop_vars("a_k"), missing_extinction="zero").distance.equals(result.distance)


def test_the_clump_is_a_box_and_unknown_where_labels_are():
    sky = {
        "ks_mag": [9.0] * 4,
        "a_k": [0.0] * 4,
        "teff": [4800.0, 4800.0, 5500.0, np.nan],
        "logg": [2.4, 3.5, 2.4, 2.4],
    }
    result = red_clump_distances(stars(**sky))
    assert result.is_red_clump.values.tolist() == [True, False, False, False]
    assert result.is_red_clump_valid.values.tolist() == [True, True, True, False]
    assert np.isfinite(result.distance.values).all()
    without = stars(ks_mag=[9.0], a_k=[0.0])
    assert not red_clump_distances(without).is_red_clump_valid.any()


def test_stars_do_not_depend_on_each_other():
    mock = red_clump_distances.make_mock(500, 2).inputs["stars"]
    whole = red_clump_distances(mock)
    pieces = [red_clump_distances(mock.isel(object=slice(i, i + 100))) for i in range(0, 500, 100)]
    assert whole.identical(xr.concat(pieces, "object", combine_attrs="identical"))
    backwards = red_clump_distances(mock.isel(object=slice(None, None, -1)))
    assert whole.identical(backwards.isel(object=slice(None, None, -1)))
    lazy = red_clump_distances(mock.chunk(object=77))
    assert whole.identical(lazy)


@given(ks_mag=st.floats(-5, 25), a_k=st.floats(-1, 5), shift=st.floats(0.01, 5))
def test_fainter_is_farther_and_extinction_is_nearer(ks_mag, a_k, shift):
    result = red_clump_distances(stars(ks_mag=[ks_mag, ks_mag + shift, ks_mag], a_k=[a_k, a_k, a_k + shift]))
    here, fainter, dimmer = result.distance.values
    assert dimmer < here < fainter
    assert (result.r_gal_err.values <= result.distance_err.values * 1.5 + 1).all()


def test_single_precision_comes_out_in_double():
    mock = red_clump_distances.make_mock(50, 3).inputs["stars"]
    narrow = red_clump_distances(mock.astype("float32"))
    assert narrow.distance.dtype == np.float64
    assert narrow.distance.values == pytest.approx(red_clump_distances(mock).distance.values, rel=1e-5)


def test_the_frame_stands_in_the_result():
    result = red_clump_distances(red_clump_distances.make_mock(5, 4).inputs["stars"], r0=8.178)
    assert (result.attrs["r0_kpc"], result.attrs["z_sun_kpc"], result.attrs["absolute_mag_ks"]) == (
        8.178,
        0.0208,
        -1.622,
    )


def test_bad_input_is_refused_by_name():
    mock = red_clump_distances.make_mock(5, 5).inputs["stars"]
    with pytest.raises(MissingColumnError, match="ks_mag"):
        evaluate(red_clump_distances, {"stars": mock.drop_vars("ks_mag")})
    with pytest.raises(UnitError, match="ks_mag"):
        evaluate(red_clump_distances, {"stars": mock.assign(ks_mag=mock.ks_mag.assign_attrs(units="K"))})
    with pytest.raises(ParameterError, match="missing_extinction"):
        red_clump_distances.check({"missing_extinction": "guess"})
    with pytest.raises(ParameterError, match="scatter"):
        red_clump_distances.check({"scatter": -0.1})


@pytest.mark.parametrize("of", ["clump", "unlabelled", "one", "none"])
def test_the_figure_shows_whatever_there_is(of, tmp_path):
    mock = red_clump_distances.make_mock(300, 6).inputs["stars"]
    if of == "unlabelled":
        mock = mock.drop_vars(["teff", "logg"])
    if of == "one":
        mock = mock.isel(object=[0])
    if of == "none":
        mock["a_k"] = mock.a_k * np.nan
    figure = red_clump_distances.draw(red_clump_distances(mock))
    figure.savefig(tmp_path / "places.png", dpi=60)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "From the north Galactic pole" in titles


def test_errors_that_are_none_are_assumed_and_codes_are_flagged():
    """Zero, negative and missing errors are the assumed ones; 9.99 and 99 mag are no errors of a measurement."""
    errors = [0.02, 0.0, -9.99, np.nan, 9.99, 99.0]
    result = red_clump_distances(stars(ks_mag=[9.0] * 6, a_k=[0.1] * 6, ks_mag_err=errors, a_k_err=[0.04] * 6))
    relative = (result.distance_err / result.distance).values
    assert relative[1:4] == pytest.approx([0.2 * np.log(10) * np.sqrt(0.025**2 + 0.04**2 + 0.09**2)] * 3)
    assert result.distance_flag.values.tolist() == [*["ok"] * 4, *["error of a magnitude or more"] * 2]
    told = " ".join(result.attrs["caveats"])
    assert "Errors of ks_mag that are missing or not positive are taken as 0.025." in told
    assert "Stars have the distance_flag 'error of a magnitude or more'." in told
    assert "Without teff and logg no star is known to be on the red clump." in told


def test_whole_numbers_are_magnitudes_too_and_good_stars_have_no_caveat():
    whole = stars(ks_mag=[9, 10], a_k=[0, 1], ks_mag_err=[1, 1], a_k_err=[1, 1])
    assert np.isfinite(red_clump_distances(whole.astype(int)).distance.values).all()
    labels = {"teff": [4800.0] * 2, "logg": [2.4] * 2}
    good = stars(ks_mag=[9.0, 10.0], a_k=[0.1, 0.2], ks_mag_err=[0.02] * 2, a_k_err=[0.04] * 2, **labels)
    assert "caveats" not in red_clump_distances(good).attrs
    told = red_clump_distances(good.drop_vars("a_k_err")).attrs["caveats"]
    assert told == ["Assumed: an error of 0.04 mag for a_k, which has none."]

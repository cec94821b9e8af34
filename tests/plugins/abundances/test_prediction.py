from typing import ClassVar

import numpy as np
import pytest

from hven.errors import TooFewObjectsError
from hven.testing import AnalysisSuite
from hven_plugins.abundances import abundance_correlation_prediction, default_channels
from hven_plugins.abundances.prediction import beam_sigma

TABLE = default_channels().to_dataset()


class TestAbundanceCorrelationPrediction(AnalysisSuite):
    analysis = abundance_correlation_prediction
    size = 8
    parameters: ClassVar = {"n_lags": 5}


def predict(**parameters):
    return abundance_correlation_prediction(TABLE, n_lags=4, **parameters)


def test_elements_go_by_atomic_number_and_incomplete_ones_are_named():
    holed = TABLE.isel(object=slice(None, None, -1)).copy(deep=True)
    holed["t_agb"][holed.element.values.tolist().index("Fe")] = np.nan
    result = abundance_correlation_prediction(holed, n_lags=3)
    assert result.element.values.tolist() == [name for name in default_channels().elements if name != "Fe"]
    assert result.attrs["incomplete"] == "Fe"


def test_what_stars_and_gas_show_is_attenuated():
    result = predict(star_err=0.03)
    off = ~np.eye(26, dtype=bool)
    assert (np.abs(result.correlation_stars.values)[off] < result.correlation_model.values[off]).all()
    same = predict(star_err=0.0, beam_fwhm=0.0, f_gas=1.0)
    np.testing.assert_allclose(same.correlation_stars, same.correlation_model)
    np.testing.assert_allclose(same.correlation_gas, same.correlation_model)
    wide = predict(beam_fwhm=300.0, f_gas=1.0)
    assert (wide.correlation_gas.values >= wide.correlation_model.values - 1e-12).mean() > 0.9


def test_the_beam_of_the_released_script_is_a_fifth_too_wide():
    assert beam_sigma(1.0, compat=True) / beam_sigma(1.0) == pytest.approx(1.2011, abs=1e-4)
    ours, theirs = (predict(beam_fwhm=200.0, compat=c).correlation_gas.values for c in (False, True))
    assert not np.allclose(ours, theirs)


def test_a_beam_over_two_changes_gas_by_as_much_as_it_adds_to_injection():
    sigma = beam_sigma(100.0)
    result = predict(beam_fwhm=100.0, f_gas=1.0)
    widths = {f"sigma_{c}": float(np.hypot(w, sigma)) for c, w in (("cc", 60), ("agb", 2), ("ia", 60), ("r", 60))}
    np.testing.assert_allclose(result.correlation_gas, predict(**widths).correlation_model, rtol=1e-12)


@pytest.mark.parametrize("drift", ["isotropic", "published"])
@pytest.mark.parametrize("delays", ["single", "distribution"])
def test_every_form_is_a_correlation_matrix(drift, delays):
    result = predict(drift=drift, delays=delays)
    matrix = result.correlation_model.values
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12)
    np.testing.assert_allclose(np.diag(matrix), 1)
    assert np.linalg.eigvalsh(matrix)[0] > -1e-6
    assert np.isfinite(result.lag_correlation).all() == (drift == "isotropic")
    if drift == "isotropic":
        np.testing.assert_allclose(result.lag_correlation[..., 0], matrix, rtol=1e-10)


def test_the_two_forms_of_drift_differ_by_at_most_what_the_paper_loses():
    """Spec: at most 0.08 over the 22 elements of the paper; measured 0.0885 over the 26 of the rounded table."""
    gap = predict().correlation_model - predict(drift="published").correlation_model
    assert float(abs(gap).max()) == pytest.approx(0.0885, abs=0.0005)


def test_net_yields_take_out_what_agb_stars_give_back():
    """Measured: oxygen and magnesium, of gross yields .76 correlated, are .89 of net ones; iron is no AGB element."""
    gross, net = (predict(returned=share).correlation_model for share in (0.0, 0.21))
    pair = {"element": "O", "element2": "Mg"}
    assert float(gross.sel(pair)) == pytest.approx(0.764, abs=0.001)
    assert float(net.sel(pair)) == pytest.approx(0.890, abs=0.001)
    channels = default_channels()
    after = channels.net(0.21)
    np.testing.assert_allclose(after.fractions.sum(axis=1), 1)
    assert (after.fractions[:, 1] <= channels.fractions[:, 1] + 1e-12).all()
    assert after.select(["Fe"]).fractions[0].tolist() == pytest.approx([0.27 / 0.79, 0, 0.52 / 0.79, 0])


def test_what_comes_after_the_end_of_the_run_has_no_varied_correlation():
    """Half the correlation length is a quarter of the time, 698 Myr: barium of 759 Myr is not there yet."""
    varied = predict().correlation_varied.sel(variation="l_corr / 2")
    assert np.isnan(varied.sel(element="Ba")).all()
    assert np.isfinite(varied.sel(element="Fe", element2="Y"))


def test_clusters_that_do_not_drift_make_both_forms_one():
    at_rest = [predict(sigma_v=0.0, drift=d).correlation_model.values for d in ("isotropic", "published")]
    np.testing.assert_allclose(*at_rest, rtol=1e-12)


def test_a_system_that_is_too_young_is_refused():
    young = TABLE.isel(object=[0]).assign(t_cc=("object", [500.0]))
    with pytest.raises(TooFewObjectsError, match="within the 7 Myr"):
        abundance_correlation_prediction(young, l_corr=50.0)


def test_an_r_process_may_be_added():
    table = default_channels().select(["Fe"]).to_dataset()
    europium = table.assign(
        element=("object", np.array(["Eu"], dtype=np.dtypes.StringDType())),
        f_cc=("object", [0.0]), f_agb=("object", [0.05]), f_ia=("object", [0.0]), f_r=("object", [0.95]),
        t_r=("object", [100.0], {"units": "Myr"}),
    )  # fmt: skip
    import xarray as xr

    both = xr.concat([table, europium], "object")
    result = abundance_correlation_prediction(both, n_lags=3)
    assert result.main_channel.values.tolist() == ["ia", "r"]
    later = abundance_correlation_prediction(both.assign(t_r=both.t_r * 4), n_lags=3)
    assert later.correlation_model[0, 1] > result.correlation_model[0, 1]


def test_the_figures_show_all_of_it(tmp_path):
    figures = abundance_correlation_prediction.draw(predict(drift="published"))
    assert set(figures) == {"matrix", "variations", "lags"}
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png", dpi=40)

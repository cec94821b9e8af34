from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

from hven.errors import MissingColumnError, ParameterError, TooFewObjectsError
from hven.mocks import abundance_stars
from hven.testing import AnalysisSuite
from hven_plugins.abundances import abundance_correlation_fit, abundance_correlations, default_channels
from hven_plugins.abundances.diffusion import PC_PER_MYR, Physics, field_of
from hven_plugins.abundances.fit import Model, _pairs


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestAbundanceCorrelationFit(AnalysisSuite):
    analysis = abundance_correlation_fit
    size = 15
    parameters: ClassVar = {"n_warmup": 200, "n_draws": 400, "n_chains": 2}
    rtol = 1e-3  # chains part at rounding when rows are summed in another order
    sigmas = 4.0

    def test_it_gives_the_same_for_any_chunking(self):
        """Of the table of channels; what was measured is not over objects."""
        mock, result = self.baseline()
        lazy = {**mock.inputs, "channels": mock.inputs["channels"].chunk({"object": 6})}
        self.assert_same(self.evaluate(lazy), result)

    def test_it_gives_the_same_for_any_order_of_rows(self):
        """Elements are put in order first, so that chains are the same ones."""
        mock, result = self.baseline()
        rows = np.random.default_rng(0).permutation(15)
        again = self.evaluate({**mock.inputs, "channels": mock.inputs["channels"].isel(object=rows)})
        self.assert_same(again, result)


def measured(elements=("O", "Mg", "Si", "Fe", "Ba"), physics=None, size=20_000, table=None, **options):
    """Return channels and what stars of this physics measure."""
    table = (table or default_channels()).select(elements)
    truth = field_of(table.at_once(), physics or Physics()).correlation()
    stars = abundance_stars(size, 3, elements=elements, correlation=truth, sigma=0.04, errors=(0.003, 0.02))
    return table, abundance_correlations(stars.inputs["stars"], **{"n_boot": 60, **options})[""]


@pytest.mark.slow
@pytest.mark.t1
def test_parameters_come_back_when_the_others_are_known():
    """One free parameter at a time; truth sigma_v = 4 km/s, sigma_sn = 90 pc."""
    physics = Physics(sigma_v=4.0 * PC_PER_MYR, sigma_cc=90.0, sigma_ia=90.0)
    table, data = measured(physics=physics)
    known = {"kappa": float(physics.kappa), "sigma_v": 4.0, "sigma_sn": 90.0}
    short = {"n_warmup": 200, "n_draws": 500, "n_chains": 2, "prior_dex": 0.5, "model_error": 0.0}
    for name, true, guess in (("sigma_v", 4.0, 2.0), ("sigma_sn", 90.0, 60.0)):
        result = abundance_correlation_fit(table.to_dataset(), data, free=[name], **{**known, name: guess}, **short)
        assert str(result.reliability.values) == "ok"
        assert abs(float(result.value[0]) - true) < 4 * float(result.value_err[0])
        assert float(result.value_err[0]) < 0.1 * true


@pytest.mark.slow
@pytest.mark.t1
def test_the_delay_of_the_r_process_comes_from_europium():
    """The published aim: truth t_r = 300 Myr and f_r = 0.8 from a prior around 100 Myr."""
    base = default_channels().select(["O", "Mg", "Si", "Ca", "Fe", "Y", "Ba"]).to_dataset()
    rows = base.isel(object=[0]).assign(
        element=("object", np.array(["Eu"], dtype=np.dtypes.StringDType())), f_cc=("object", [0.15]),
        f_agb=("object", [0.05]), f_ia=("object", [0.0]), t_cc=("object", [12.0]), t_agb=("object", [500.0]),
        f_r=("object", [0.8]), t_r=("object", [300.0]),
    )  # fmt: skip
    channels = xr.concat([base, rows], "object")
    from hven_plugins.abundances import Channels

    table, _ = Channels.from_dataset(channels)
    table, data = measured(table.elements, table=table, n_boot=80)
    guess = channels.assign(t_r=("object", np.full(8, 100.0)), f_r=channels.f_r.where(channels.f_r == 0, 0.5),
                            f_cc=channels.f_cc.where(channels.f_r == 0, 0.45))  # fmt: skip
    result = abundance_correlation_fit(
        guess, data, free=["t_r", "f_r"], kappa=float(Physics().kappa), prior_dex=0.5, model_error=0.0, n_chains=2
    )
    assert result.parameter.values.tolist() == ["t_r", "f_r Eu"]
    assert (np.abs(result.value.values - [300.0, 0.8]) < 4 * result.value_err.values).all()
    assert float(result.value_err[0]) < 60


def model(table, **changes):
    centre = {"l_corr": 1000.0, "kappa": float(Physics().kappa), "sigma_v": 2.0, "sigma_sn": 60.0, "sigma_agb": 2.0,
              "sigma_r": 60.0, "t_r": 100.0}  # fmt: skip
    given = {
        "free": ("l_corr", "sigma_v"),
        "prior_dex": 0.3,
        "model_error": 0.3,
        "drift": "isotropic",
        "is_spread": False,
    }
    return Model(table, centre, **{**given, **changes})


def test_the_model_of_the_fit_is_the_prediction():
    table = default_channels()
    one = model(table)
    np.testing.assert_allclose(
        one.correlation(one.parameters(one.start(), np), np), field_of(table.at_once()).correlation(), rtol=1e-10
    )
    spread = model(table, is_spread=True).correlation({}, np)
    np.testing.assert_allclose(spread, field_of(table.spread_out()).correlation(), atol=0.002)


def test_the_prior_is_log_normal_and_counts_its_jacobians():
    one = model(default_channels().select(["O", "Fe"]))
    at = one.start()
    sd = 0.3 * np.log(10)
    assert one.log_prior(at + np.array([sd, 0, 0]), np) - one.log_prior(at, np) == pytest.approx(-0.5)
    v = np.linspace(-12, 3, 4001)
    density = np.exp([one.log_prior(np.array([*at[:2], s]), np) for s in v])
    mass = np.trapezoid(density, v) / np.exp(one.log_prior(at, np) - one.log_prior(at, np))
    assert mass == pytest.approx(0.3 * np.sqrt(np.pi / 2), rel=1e-3)


def test_pairs_without_errors_are_left_out_and_few_replicates_leave_the_closed_form():
    table, data = measured()
    pairs = _pairs(data, table, "correlation")
    assert (len(pairs.z), pairs.n_lost) == (10, 0)
    assert 0 < pairs.shrinkage <= 1
    thin = _pairs(data.isel(replicate=slice(0, 15)), table, "correlation")
    assert thin.shrinkage == 1
    ratio = np.sqrt(np.diag(thin.covariance) / np.diag(pairs.covariance))
    assert np.abs(np.log(ratio)).max() < 0.3
    blind = data.copy(deep=True)
    blind["correlation_err"][0, :] = np.nan
    blind["correlation_err"][:, 0] = np.nan
    assert len(_pairs(blind, table, "correlation").z) == 6
    with pytest.raises(TooFewObjectsError, match="0 pairs of elements"):
        abundance_correlation_fit(table.to_dataset(), data, which="conditional")
    with pytest.raises(TooFewObjectsError, match="1 pairs of elements with correlation and error for 4"):
        abundance_correlation_fit(table.select(["O", "Fe"]).to_dataset(), data)


def test_what_is_not_a_measurement_or_cannot_be_fitted_is_refused():
    table, data = measured()
    with pytest.raises(MissingColumnError, match="'replicates'"):
        abundance_correlation_fit(table.to_dataset(), data.drop_vars("replicates"))
    with pytest.raises(ParameterError, match="t_r is free"):
        abundance_correlation_fit(table.to_dataset(), data, free=["t_r"])
    europium = table.to_dataset().assign(f_r=("object", [0.0, 0.0, 0.0, 0.0, 0.2]), t_r=("object", [100.0] * 5))
    europium["f_agb"][4] -= 0.2
    with pytest.raises(ParameterError, match="distributions of delays"):
        abundance_correlation_fit(europium, data, free=["t_r"], delays="distribution")

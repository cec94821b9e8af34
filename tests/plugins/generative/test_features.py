"""Scattering features as an analysis: conformance, bands, and images that have none."""

from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

from hven.errors import ParameterError
from hven.methods import scattering
from hven.mocks import bubble_maps
from hven.testing import AnalysisSuite
from hven_plugins.generative import hven_analyses, scattering_features


class TestScatteringFeatures(AnalysisSuite):
    analysis = scattering_features
    parameters: ClassVar = {"scales": 3}
    size = 40
    atol = 1e-9


def test_the_family_brings_its_analyses():
    assert "scattering_features" in [a.name for a in hven_analyses()]


def test_columns_are_the_features_of_the_method():
    maps = bubble_maps(5, 1, pixels=32).inputs["images"]
    told = scattering_features(maps)
    expected = scattering.features(scattering.coefficients(maps.flux.values[:, 0].astype(float)))
    for i, name in enumerate(scattering.feature_names(4)):
        assert np.array_equal(told[name].values, expected[:, i])
    assert set(told.feature_flag.values.tolist()) == {"ok"}


def test_single_precision_is_nearly_the_same():
    maps = bubble_maps(5, 1, pixels=32).inputs["images"]
    one, other = (scattering_features(maps, precision=p) for p in ("single", "double"))
    assert max(float(np.abs(one[n] - other[n]).max()) for n in one.data_vars if str(n).startswith("s")) < 1e-4


def test_each_image_without_features_says_why():
    maps = bubble_maps(4, 1, pixels=32).inputs["images"]
    maps.flux[1, 0] = 0.5
    maps.flux[2, 0, 3, 3] = np.nan
    told = scattering_features(maps, scales=3)
    assert told.feature_flag.values.tolist() == ["ok", "no structure", "a pixel is not a number", "ok"]
    assert float(told.s0[1]) == pytest.approx(0.5)
    assert np.isnan([float(told.s0[2]), float(told.s1_0[1]), float(told.s1_0[2])]).all()


def test_a_band_is_chosen_by_name():
    maps = bubble_maps(3, 1, pixels=32).inputs["images"]
    pair = np.concatenate([maps.flux, 2 * maps.flux], axis=1)
    both = xr.Dataset({"flux": (("object", "band", "y", "x"), pair)}, {"band": ["g", "r"]})
    chosen = scattering_features(both, band="r", scales=2)
    np.testing.assert_allclose(chosen.s0, 2 * scattering_features(maps, scales=2).s0)
    with pytest.raises(ParameterError, match="2 bands"):
        scattering_features(both)
    with pytest.raises(ParameterError, match="no band 'z'"):
        scattering_features(both, band="z")


def test_more_scales_than_there_is_room_for_are_refused():
    with pytest.raises(ParameterError, match="7 scales"):
        scattering_features(bubble_maps(2, 1, pixels=32).inputs["images"], scales=7)

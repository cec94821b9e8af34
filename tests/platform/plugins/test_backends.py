"""The runner moves data to where an analysis computes, and back; authors do not."""

import numpy as np
import pytest
import xarray as xr

import hven
from hven.errors import MissingDependencyError
from hven.plugins import backends, call, evaluate

jax = pytest.importorskip("jax")
SEEN: list[type] = []


def declared(backend):
    @hven.analysis(
        per_object=True,
        backend=backend,
        stars=hven.Table(feh="dex", optional={"name": None}),
        produces={"doubled": "dex"},
    )
    def doubled(stars):
        """Return twice the metallicity."""
        SEEN.append(type(stars.feh.data))
        return xr.Dataset({"doubled": stars.feh * 2})

    return doubled


@pytest.fixture(autouse=True)
def _nothing_seen():
    SEEN.clear()


def stars(dtype="f8"):
    names = np.array(["a", None, "c"], dtype=np.dtypes.StringDType(na_object=None))
    return xr.Dataset(
        {"feh": ("object", np.array([0.1, np.nan, -1 / 3], dtype), {"units": "dex"}), "name": ("object", names)}
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_jax_gets_its_own_arrays_in_the_precision_in_which_they_arrive(dtype):
    result = evaluate(declared("jax"), {"stars": stars(dtype)})[""]
    assert issubclass(SEEN[0], jax.Array)
    assert type(result.doubled.data) is np.ndarray
    assert result.doubled.dtype == "f8"
    np.testing.assert_array_equal(result.doubled, stars(dtype).feh.values.astype("f8") * 2)
    single = call(declared("jax"), {"stars": stars("f4")}, {})
    assert single.doubled.dtype == "f4"
    assert not jax.config.jax_enable_x64


def test_numpy_arrays_are_handed_on_as_they_are():
    evaluate(declared("numpy"), {"stars": stars()})
    assert [np.ndarray] == SEEN


def test_the_array_api_gets_numpy_without_a_gpu(monkeypatch):
    monkeypatch.setattr(backends, "cupy_or_none", lambda: None)
    evaluate(declared("array-api"), {"stars": stars()})
    assert [np.ndarray] == SEEN


class OnDevice(np.ndarray):
    """An array of a library like CuPy: it has to be fetched."""

    __module__ = "cupy._core"

    def get(self):
        return np.array(self)


def test_the_array_api_gets_what_cupy_makes_where_there_is_a_gpu(monkeypatch):
    class Cupy:
        @staticmethod
        def asarray(values):
            return np.asarray(values).view(OnDevice)

    monkeypatch.setattr(backends, "cupy_or_none", lambda: Cupy)
    result = evaluate(declared("array-api"), {"stars": stars()})[""]
    assert [OnDevice] == SEEN
    assert type(result.doubled.values) is np.ndarray


def test_lazy_variables_stay_lazy_until_they_are_asked_for():
    @hven.analysis(backend="jax", stars=hven.Table(feh="dex"), produces={"mean": "dex"})
    def mean(stars):
        """Return the mean."""
        assert stars.feh.chunks is not None
        return xr.Dataset({"mean": stars.feh.mean()})

    data = stars().drop_vars("name").chunk({"object": 1})
    assert float(evaluate(mean, {"stars": data})[""]["mean"].compute()) == pytest.approx((0.1 - 1 / 3) / 2)


def test_without_jax_an_analysis_that_needs_it_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jax", None)
    with pytest.raises(MissingDependencyError, match="JAX"):
        evaluate(declared("jax"), {"stars": stars()})


def test_runs_move_data_as_well(tmp_path):
    import polars as pl

    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1, 2, 3], "feh": [0.1, None, -0.5]}))

    @hven.analysis(
        per_object=True, backend="jax", stars=hven.Table(feh="dex"), produces={"doubled": "dex", "is_jax": ""}
    )
    def doubled(stars):
        """Return twice the metallicity, and what it was given."""
        is_jax = np.full(stars.sizes["object"], isinstance(stars.feh.data, jax.Array))
        return xr.Dataset({"doubled": stars.feh * 2, "is_jax": ("object", is_jax)})

    run = hven.run(lake, doubled, {"stars": "stars"}, cluster="synchronous", progress=False)
    result = run.result.table().collect().sort("object_id")
    assert result["is_jax"].all()
    assert result["doubled"].to_list() == [0.2, None, -1.0]


@pytest.mark.gpu
def test_jax_computes_on_the_gpu():
    @hven.analysis(per_object=True, backend="jax", stars=hven.Table(feh="dex"), produces={"doubled": "dex"})
    def doubled(stars):
        """Return twice the metallicity."""
        assert {device.platform for device in stars.feh.data.devices()} == {"gpu"}
        return xr.Dataset({"doubled": stars.feh * 2})

    assert evaluate(doubled, {"stars": stars()})[""].doubled.values[0] == 0.2

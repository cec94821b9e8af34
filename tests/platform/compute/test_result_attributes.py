"""What a result says of itself as a whole holds for all of its objects: attributes of blocks are equal, or refused."""

import numpy as np
import polars as pl
import pytest
import xarray as xr

import hven
from hven import errors
from simulated import make_spectra

HOW = {"cluster": "synchronous", "block_rows": 100, "progress": False}


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": np.arange(300), "feh": np.linspace(-1, 0.5, 300)}))
    return lake


def saying(version="1", shape=(), **attrs):
    """Return an analysis whose result has these attributes, each a function of the block's first metallicity."""

    @hven.analysis(stars=hven.Table(feh="dex"), produces={"twice": "dex"}, version=version, per_object=True)
    def twice(stars: xr.Dataset) -> xr.Dataset:
        """Twice the metallicity."""
        first = float(stars.feh[0])
        values = np.broadcast_to(2 * stars.feh.values.reshape(-1, *(1 for _ in shape)), (len(stars.feh), *shape))
        made = xr.Dataset({"twice": (("object", *(f"x{n}" for n in range(len(shape)))), values)})
        told = {name: say(first) for name, say in attrs.items()}
        own = {name.removeprefix("own_"): told.pop(name) for name in list(told) if name.startswith("own_")}
        made["twice"].attrs |= {k: v for k, v in own.items() if v is not None}
        return made.assign_attrs({k: v for k, v in told.items() if v is not None})

    return twice


@pytest.mark.parametrize("shape", [(), (2,)])
@pytest.mark.parametrize(
    ("say", "how"),
    [
        (lambda feh: "air" if feh < 0 else "vacuum", "is 'vacuum', not 'air'"),
        (lambda feh: 100 + (feh > 0), "is 101, not 100"),  # a count of the block: no count of the result
        (lambda feh: "air" if feh < 0 else None, "is missing"),
        (lambda feh: None if feh < 0 else "air", "is 'air', and there was none"),
    ],
)
def test_a_block_with_another_attribute_is_refused_by_name_and_the_rest_is_published(lake, shape, say, how):
    run = hven.run(lake, saying(medium=say, solar=lambda _: 8.7, shape=shape), {"stars": "stars"}, **HOW)
    assert (run.state, run.rows["out"]) == ("partial", 200)
    (failure,) = run.failures
    assert (failure["code"], failure["what"]) == ("result-refused", f"attribute 'medium' of the result {how}")
    assert "caveats" in failure["hint"]
    assert run.result.dataset().attrs["solar"] == 8.7


@pytest.mark.parametrize("say", [lambda feh: "air" if feh < 0 else "vacuum", lambda feh: "air" if feh < 0 else None])
def test_so_is_a_block_of_which_a_variable_has_another_attribute(lake, say):
    run = hven.run(lake, saying(own_medium=say, shape=(2,)), {"stars": "stars"}, **HOW)
    assert (run.state, run.rows["out"]) == ("partial", 200)
    assert "'twice' of the result has another attribute 'medium'" in run.failures[0]["what"]
    assert run.result.dataset()["twice"].attrs["medium"] == "air"


def test_what_only_tells_of_a_part_is_of_no_result(lake):
    told = {"history": lambda feh: f"from {feh}", "caveats": lambda feh: ["Metal-rich."] if feh > 0 else None}
    run = hven.run(lake, saying(**told), {"stars": "stars"}, **HOW)
    assert (run.state, run.caveats) == ("succeeded with caveats", ["Metal-rich. (100 objects)"])
    assert "history" not in run.result.dataset().attrs


def test_an_update_keeps_to_the_attributes_of_what_stays_or_computes_all(lake):
    asked = {"stars": "stars"}
    hven.run(lake, saying(solar=lambda _: 8.69), asked, **HOW)
    with lake.transaction() as tx:
        tx.append("stars", pl.DataFrame({"object_id": [1_000], "feh": [0.1]}))
    number = lake.number
    with pytest.raises(errors.ResultRefusedError, match=r"'solar' of the blocks .* is 8.83, not 8.69.*--force"):
        hven.run(lake, saying(solar=lambda _: 8.83), asked, **HOW)
    assert lake.number == number
    run = hven.run(lake, saying(solar=lambda _: 8.83), asked, force=True, **HOW)
    assert (run.rows["out"], run.result.dataset().attrs["solar"]) == (301, 8.83)


def test_objects_that_a_block_has_beside_those_that_raise_need_one_attribute(lake):
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"twice": "dex"}, version="1", per_object=True)
    def twice(stars: xr.Dataset) -> xr.Dataset:
        """Twice the metallicity."""
        if (np.abs(stars.feh - 0.1) < 0.003).any():
            raise ValueError("no such star")
        return xr.Dataset({"twice": 2 * stars.feh}, attrs={"count": stars.sizes["object"]})

    with pytest.raises(errors.RunFailedError, match="attribute 'count' of the result is"):
        hven.run(lake, twice, {"stars": hven.select("stars", where="feh > 0")}, **HOW | {"block_rows": 300})


@pytest.mark.parametrize("analysis_is_whole", [False, True])
def test_other_attributes_of_a_dataset_make_its_results_stale(tmp_path, analysis_is_whole):
    lake = hven.create(tmp_path / "lake")

    @hven.analysis(stars=hven.Table(feh="dex"), produces={"seen": ""}, version="1", per_object=not analysis_is_whole)
    def seen(stars: xr.Dataset) -> xr.Dataset:
        """The medium of each star, by its length."""
        return xr.Dataset({"seen": ("object", np.full(stars.sizes["object"], float(len(stars.attrs["medium"]))))})

    stars = xr.Dataset({"object_id": ("object", np.arange(200)), "feh": ("object", np.linspace(-1, 0, 200))})
    for medium in ("air", "vacuum"):
        with lake.transaction() as tx:
            tx.write("stars", stars.assign_attrs(medium=medium, history=f"of {medium}"))
        run = hven.run(lake, seen, {"stars": "stars"}, **HOW)
        assert set(run.result.dataset()["seen"].values.tolist()) == {float(len(medium))}
    with lake.transaction() as tx:
        tx.write("stars", stars.assign_attrs(medium="vacuum", history="otherwise"))
    assert hven.run(lake, seen, {"stars": "stars"}, **HOW).was_up_to_date


@pytest.mark.parametrize("known", [{}, {"medium": "vacuum"}])
def test_an_append_with_an_attribute_that_the_dataset_does_not_have_is_refused(tmp_path, known):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("spectra", make_spectra(0, 20).assign_attrs(known))
    expected = "'vacuum', as in the dataset" if known else "none, as in the dataset"
    with (
        pytest.raises(errors.DataRefusedError, match=f"attribute 'medium' is 'air'.*{expected}"),
        lake.transaction() as tx,
    ):
        tx.append("spectra", make_spectra(20, 20).assign_attrs(medium="air"))
    more = make_spectra(20, 20)
    more["flux"].attrs["medium"] = "air"
    with (
        pytest.raises(errors.DataRefusedError, match="'flux' has another attribute 'medium'"),
        lake.transaction() as tx,
    ):
        tx.append("spectra", more)
    with lake.transaction() as tx:
        tx.append("spectra", make_spectra(40, 20).assign_attrs(comment="a cloudy night"))
    assert lake["spectra"].dataset().sizes["object"] == 40
    assert lake["spectra"].dataset().attrs.get("medium") == known.get("medium")

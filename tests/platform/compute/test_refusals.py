"""Whatever does not fit is refused by its code before a run begins: the lake is as it was, runs included."""

import polars as pl
import pytest

import hven
import trial_analyses as trial
from hven import errors
from simulated import listing

BAD = {
    "an analysis that nobody brings": ({"analysis": "doubledd"}, "unknown-analysis"),
    "an input that is not given": ({"inputs": {}}, "bad-parameter"),
    "an input that the analysis does not have": ({"inputs": {"stars": "stars", "moons": "stars"}}, "bad-parameter"),
    "a dataset that is not there": ({"inputs": {"stars": "starz"}}, "dataset-not-found"),
    "a joined dataset that is not there": ({"inputs": {"stars": "stars+starz"}}, "dataset-not-found"),
    "a dataset that has no objects to join": ({"inputs": {"stars": "stars+offset"}}, "missing-column"),
    "a version that is not there": ({"inputs": {"stars": "stars@77"}}, "version-not-found"),
    "a release that is not there": ({"inputs": {"stars": "stars@dr9"}}, "version-not-found"),
    "a lake that is not there": ({"inputs": {"stars": "/nowhere#stars"}}, "lake-not-found"),
    "a dataset name that leaves the lake": ({"inputs": {"stars": "../stars"}}, "name-refused"),
    "a missing column": ({"inputs": {"stars": "offset"}}, "missing-column"),
    "a renaming to a missing column": ({"columns": {"feh": "m_h"}}, "missing-column"),
    "a renaming of what nobody asks for": ({"columns": {"mh": "feh"}}, "missing-column"),
    "a column in another unit": ({"inputs": {"stars": "wrong"}}, "wrong-unit"),
    "arrays where a table is wanted": ({"inputs": {"stars": "weights"}}, "missing-column"),
    "a where that is no SQL": ({"where": "feh >"}, "bad-where"),
    "a where with a missing column": ({"where": "fe_h > 0"}, "missing-column"),
    "a where that is not true or false": ({"where": "feh + 1"}, "bad-where"),
    "a region of a dataset without positions": (
        {"inputs": {"stars": "flat"}, "region": "cone(1, 2, 3)"},
        "missing-column",
    ),
    "an unknown parameter": ({"parameters": {"folders": ""}}, "bad-parameter"),
    "a parameter outside its range": ({"parameters": {"seconds": -1}}, "bad-parameter"),
    "an output that leaves the lake": ({"output": "../x"}, "name-refused"),
    "an output that is survey data": ({"output": "offset"}, "name-refused"),
    "an output that is its own input": ({"output": "stars"}, "name-refused"),
    "blocks of no objects": ({"block_rows": 0}, "bad-parameter"),
    "a cluster that does not exist": ({"cluster": "lokal"}, "no-cluster"),
    "a scheduler that does not answer": ({"cluster": "tcp://127.0.0.1:9"}, "no-cluster"),
    "a dataset without objects": ({"inputs": {"stars": "nobody"}}, "too-few-objects"),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    from simulated import make_stars

    made = hven.create(tmp_path_factory.mktemp("refusals") / "lake")
    stars = make_stars(0, 50)
    column = hven.schema.Column("feh", "float64", unit="km/s")
    with made.transaction() as tx:
        tx.write("stars", stars)
        tx.write("flat", stars.select("object_id", "feh", "visits"))
        tx.write("nobody", stars.clear())
        tx.write("wrong", stars, schema=hven.schema.Schema((column,)))
        tx.write("offset", pl.DataFrame({"offset": [1.0]}))
    with made.transaction() as tx:
        tx.write("weights", __import__("xarray").Dataset({"weights": (("i", "j"), [[1.0]])}), kind="model")
    return made


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_refused_and_leaves_the_lake_as_it_was(lake, what, monkeypatch):
    monkeypatch.setattr("hven.compute.schedulers._PATIENCE", 1.0)
    asked, code = BAD[what]
    asked = {"analysis": trial.doubled, "inputs": {"stars": "stars"}, "cluster": "synchronous"} | asked
    chosen = {key: asked.pop(key) for key in ("where", "region", "columns") if key in asked}
    if chosen:
        asked["inputs"] = {"stars": hven.select(asked["inputs"]["stars"], **chosen)}
    before = listing(lake)
    with pytest.raises(errors.HvenError) as refused:
        hven.run(lake, **asked)
    assert refused.value.code == code, refused.value
    assert listing(lake) == before
    if asked["cluster"] == "synchronous":
        with pytest.raises(errors.HvenError) as told:
            hven.plan(lake, **{key: value for key, value in asked.items() if key != "cluster"})
        assert told.value.code == code


def test_a_pinned_view_is_not_run_in(lake):
    with pytest.raises(errors.ReadOnlyError):
        hven.run(lake.at(1), trial.doubled, {"stars": "stars"}, cluster="synchronous")


def test_a_margin_around_objects_without_places_is_refused(lake):
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"x": "dex"}, per_object=True, margin="10 arcsec")
    def near(stars):
        """Return neighbours."""

    with pytest.raises(errors.MissingColumnError, match="_healpix_29"):
        hven.run(lake, near, {"stars": "flat"}, cluster="synchronous")


def test_a_selection_without_objects_is_told_and_publishes_nothing(lake):
    before = lake.number
    for analysis in (trial.doubled, trial.mean_feh):
        with pytest.raises(errors.TooFewObjectsError):
            hven.run(lake, analysis, {"stars": hven.select("stars", where="feh > 1e9")}, cluster="synchronous")
    assert lake.number == before
    assert hven.compute.runs(lake)[0].state == "failed"

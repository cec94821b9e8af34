import pickle

import polars as pl
import pytest
import xarray as xr

import hven
from hven import DatasetPath, Table
from hven.errors import DatasetNotFoundError, NameRefusedError, ParameterError, VersionNotFoundError
from hven.plugins import pin_paths


@hven.analysis(stars=Table(feh="dex"), produces={"above": ""}, per_object=True)
def above_reference(stars: xr.Dataset, *, reference: DatasetPath, more: list[DatasetPath] | None = None) -> xr.Dataset:
    """Whether a star is above the mean of another dataset.

    Parameters
    ----------
    reference
        What stars are held against.
    more
        Not used.
    """
    return xr.Dataset({"above": ("object", stars.feh.values > float(reference.dataset().feh.mean()))})


@pytest.fixture
def stars(lake):
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1, 2, 3], "feh": [-1.0, 0.0, 1.0]}))
        tx.write("reference", pl.DataFrame({"object_id": [1, 2], "feh": [0.4, 0.6]}))
    return lake


def test_a_path_says_lake_name_and_version():
    parts = {
        "dust": ("", "dust", ""),
        "dust@dr1": ("", "dust", "dr1"),
        "s3://a/b#dust@7": ("s3://a/b", "dust", "7"),
    }
    for text, told in parts.items():
        path = DatasetPath(text)
        assert (path.url, path.name, path.version) == told
        assert path == text


def test_a_run_opens_the_dataset_that_a_parameter_names_also_on_a_worker(stars):
    run = hven.run(stars, above_reference, {"stars": "stars"}, {"reference": "reference"}, cluster="synchronous")
    assert run.result.table().sort("object_id").collect()["above"].to_list() == [False, False, True]
    assert run.parameters == {"reference": "reference@1", "more": None}
    (pinned,) = pin_paths({"p": DatasetPath("reference")}, stars).values()
    copy = pickle.loads(pickle.dumps(pinned))
    assert (copy, copy.home, copy.number) == (pinned, pinned.home, pinned.number)
    assert float(copy.dataset().feh.mean()) == 0.5


def test_a_result_is_made_again_only_when_the_dataset_has_changed(stars):
    def run():
        given = {"reference": "reference"}
        return hven.run(stars, above_reference, {"stars": "stars"}, given, cluster="synchronous").id

    first = run()
    with stars.transaction() as tx:
        tx.write("unrelated", pl.DataFrame({"object_id": [1]}))
    assert run() == first
    with stars.transaction() as tx:
        tx.write("reference", pl.DataFrame({"object_id": [1], "feh": [-5.0]}))
    assert run() != first
    again = stars["above_reference"].table().sort("object_id").collect()
    assert again["above"].to_list() == [True, True, True]


def test_a_path_may_name_a_version_or_another_lake(stars, tmp_path):
    with stars.transaction() as tx:
        tx.write("reference", pl.DataFrame({"object_id": [1], "feh": [-5.0]}))
    old = {"reference": "reference@1"}
    run = hven.run(stars, above_reference, {"stars": "stars"}, old, cluster="synchronous")
    assert run.result.table().sort("object_id").collect()["above"].to_list() == [False, False, True]
    other = hven.create(tmp_path / "other")
    with other.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1], "feh": [0.0]}))
    elsewhere = {"reference": f"{stars.url}#reference"}
    run = hven.run(other, above_reference, {"stars": "stars"}, elsewhere, cluster="synchronous")
    assert run.result.table().collect()["above"].to_list() == [True]
    assert run.parameters["reference"] == f"{stars.url}#reference@2"


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"reference": "refrence"}, DatasetNotFoundError),
        ({"reference": "reference@9"}, VersionNotFoundError),
        ({"reference": "reference", "more": ["stars", "nothing"]}, DatasetNotFoundError),
        ({"reference": "../x"}, ParameterError),
        ({"reference": 7}, ParameterError),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_before_anything_runs(stars, given, refusal):
    before = stars.number
    with pytest.raises(refusal):
        hven.run(stars, above_reference, {"stars": "stars"}, given, cluster="synchronous")
    assert stars.number == before
    assert hven.compute.runs(stars) == []


def test_what_a_path_may_be_is_told(stars):
    with pytest.raises(ParameterError, match=r"'reference' is '\.\./x'.*a dataset, as NAME, NAME@VERSION"):
        above_reference.check({"reference": "../x"})
    told = above_reference.json_schema()["properties"]["reference"]
    assert (told["type"], told["format"]) == ("string", "hven-dataset")
    assert above_reference.parse_texts({"reference": "dust@dr1", "more": "a, b@2"}) == {
        "reference": "dust@dr1",
        "more": ["a", "b@2"],
    }


def test_outside_of_a_run_a_path_needs_its_lake(stars):
    with pytest.raises(NameRefusedError, match="does not say in which lake"):
        DatasetPath("reference").dataset()
    assert DatasetPath(f"{stars.url}#reference").dataset().sizes["object"] == 2

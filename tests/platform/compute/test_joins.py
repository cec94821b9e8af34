"""A join keeps the objects that all its datasets have; how many it leaves out is a caveat with the number."""

import numpy as np
import polars as pl
import pytest
import xarray as xr
from typer.testing import CliRunner

import hven
from hven import errors
from hven.cli import app
from hven.compute.joins import left_out
from hven.compute.request import make_request
from hven.sky import healpix_29

COUNT, WITH_AGE, WITH_SPECTRUM = 600, 450, 90


@hven.analysis(stars=hven.Table(feh="dex", age="Gyr"), produces={"late": "dex"}, per_object=True)
def late_feh(stars: xr.Dataset) -> xr.Dataset:
    """Metallicity less a slope with age."""
    return xr.Dataset({"late": stars.feh - 0.02 * stars.age})


@hven.analysis(stars=hven.Table(feh="dex", age="Gyr"), produces={"mean_feh": "dex"})
def mean_of_dated(stars: xr.Dataset) -> xr.Dataset:
    """Mean metallicity of stars with an age."""
    return xr.Dataset({"mean_feh": ("one", [float(stars.feh.mean())])})


@hven.analysis(stars=hven.Table(feh="dex"), spectra=hven.Spectra(), produces={"strength": ""}, per_object=True)
def strength(stars: xr.Dataset, spectra: xr.Dataset) -> xr.Dataset:
    """Flux by metallicity."""
    return xr.Dataset({"strength": (spectra.flux.mean("wavelength") + stars.feh).drop_attrs()})


@pytest.fixture
def lake(tmp_path):
    """Return a lake of stars, ages of some of them and spectra of others; ``no_ages`` are of other stars."""
    rng = np.random.default_rng(8)
    ids = rng.choice(10**9, COUNT, replace=False)
    lake = hven.create(tmp_path / "a lake")
    ages = pl.DataFrame({"object_id": ids[:WITH_AGE], "age": rng.uniform(1, 12, WITH_AGE)})
    spectra = xr.Dataset(
        {
            "flux": (("object", "wavelength"), rng.normal(1, 0.1, (WITH_SPECTRUM, 5))),
            "ivar": (("object", "wavelength"), np.full((WITH_SPECTRUM, 5), 100.0)),
        },
        {"wavelength": ("wavelength", np.arange(5.0) + 5_000, {"units": "Angstrom"})},
    ).assign(object_id=("object", ids[-WITH_SPECTRUM:]))
    with lake.transaction() as tx:
        feh = np.linspace(-1, 0.5, COUNT)
        places = {"ra": np.linspace(0, 350, COUNT), "dec": np.zeros(COUNT)}
        cells = {"_healpix_29": healpix_29(places["ra"], places["dec"])}
        radii = {"r_gal": rng.uniform(5, 12, COUNT)}
        tx.write("stars", pl.DataFrame({"object_id": ids, "feh": feh, **places, **cells, **radii}))
        tx.write("ages", ages.sample(fraction=1.0, shuffle=True, seed=1))
        tx.write("all_ages", pl.DataFrame({"object_id": ids[::-1], "age": rng.uniform(1, 12, COUNT)}))
        tx.write("no_ages", ages.with_columns(pl.col("object_id") + 2 * 10**9))
        tx.write("spectra", spectra)
    return lake


def joins_of(run):
    return [caveat for caveat in run.caveats if caveat.startswith("Join:")]


@pytest.mark.parametrize("analysis", [late_feh, mean_of_dated])
@pytest.mark.parametrize("block_rows", [None, 70])
def test_a_join_tells_how_many_objects_it_leaves_out(lake, analysis, block_rows):
    how = {"cluster": "synchronous", "block_rows": block_rows}
    run = hven.run(lake, analysis, {"stars": "stars+ages"}, **how)
    told = "Join: 150 of 600 objects of 'stars' have no row in 'ages', and are not in the result."
    assert (run.state, joins_of(run), run.rows["in"]) == ("succeeded with caveats", [told], WITH_AGE)
    assert hven.open_run(lake, run.id).caveats == run.caveats
    assert told.replace("'", "&#39;") in lake.store.get(run.record["report"]).decode()


@pytest.mark.parametrize("analysis", [late_feh, mean_of_dated])
def test_a_join_of_the_same_objects_has_no_caveat(lake, analysis):
    run = hven.run(lake, analysis, {"stars": "stars+all_ages"}, cluster="synchronous")
    assert (joins_of(run), run.rows["in"]) == ([], COUNT)
    # Ages of stars that the first dataset does not have are nobody's loss: the first one sets the objects.
    part = hven.run(lake, analysis, {"stars": hven.select("ages+stars")}, output="other", cluster="synchronous")
    assert (joins_of(part), part.rows["in"]) == ([], WITH_AGE)


@pytest.mark.parametrize("analysis", [late_feh, mean_of_dated])
@pytest.mark.parametrize("where", [None, "feh > 0"])
def test_datasets_without_a_common_object_are_refused_and_nothing_is_published(lake, analysis, where):
    number = lake.number
    with pytest.raises(errors.TooFewObjectsError, match=r"no object of 'stars'.* has a row in 'no_ages'.*object_id"):
        hven.run(lake, analysis, {"stars": hven.select("stars+no_ages", where=where)}, cluster="synchronous")
    assert lake.number == number
    assert hven.runs(lake)[0].state == "failed"


@pytest.mark.parametrize("analysis", [late_feh, mean_of_dated])
def test_a_condition_that_lets_nothing_through_is_refused_with_what_the_join_leaves_out(lake, analysis):
    for where in ("feh > 3", "age > 90"):
        with pytest.raises(errors.TooFewObjectsError, match="no object is left by the selection") as refused:
            hven.run(lake, analysis, {"stars": hven.select("stars+ages", where=where)}, cluster="synchronous")
        assert ("150 of 600" in str(refused.value)) == (where == "age > 90")


@pytest.mark.parametrize(
    ("where", "missing", "of"),
    [
        ("feh > 0", 150, 200),  # of the first dataset: what it excludes is no loss
        ("feh < -0.9", 0, 40),
        ("age > 6", 150, 600),  # of the second: whether it excludes stars without an age nobody knows
        ("feh > 0 AND age > 6", 150, 200),
        ("feh > 0 OR age > 6", 150, 600),
        ("old > 6 AND feh > 0", 150, 200),
    ],
)
def test_what_a_condition_excludes_anyway_is_not_counted(lake, where, missing, of):
    derived = {"old [Gyr]": "age + 1"} if "old" in where else None
    asked = hven.select("stars+ages", where=where, derived=derived)
    run = hven.run(lake, late_feh, {"stars": asked}, cluster="synchronous")
    told = f"Join: {missing:,} of {of:,} objects of 'stars' that the selection does not exclude have no row in 'ages'"
    assert [caveat.startswith(told) for caveat in joins_of(run)] == [True] * bool(missing)


def test_a_region_narrows_what_is_counted(lake):
    def inside(region):
        return int(lake["stars"].table(region=region).select(pl.len()).collect().item())

    far, near = "cone(300, 0, 10)", "cone(262, 0, 10)"
    with pytest.raises(errors.TooFewObjectsError, match="no object of 'stars' that the selection does not exclude"):
        hven.run(lake, late_feh, {"stars": hven.select("stars+ages", region=far)}, cluster="synchronous")
    run = hven.run(lake, late_feh, {"stars": hven.select("stars+ages", region=near)}, cluster="synchronous")
    (told,) = joins_of(run)
    lost = inside(near) - run.rows["in"]
    assert lost > 0
    assert told.startswith(f"Join: {lost} of {inside(near)} objects of 'stars' that the selection does not exclude")


def test_two_inputs_of_objects_tell_what_each_leaves_out(lake):
    run = hven.run(lake, strength, {"stars": "stars", "spectra": "spectra"}, cluster="synchronous")
    assert joins_of(run) == ["Join: 510 of 600 objects of 'stars' have no row in 'spectra', and are not in the result."]
    assert run.rows["out"] == WITH_SPECTRUM
    where = "feh > 0"
    more = hven.run(
        lake,
        strength,
        {"stars": hven.select("stars+all_ages", where=where), "spectra": "spectra"},
        output="more",
        cluster="synchronous",
    )
    assert [told[:20] for told in joins_of(more)] == ["Join: 110 of 200 obj"]
    with pytest.raises(errors.TooFewObjectsError, match="no object is left"):
        hven.run(lake, strength, {"stars": "stars+ages", "spectra": "spectra"}, output="none", cluster="synchronous")


def test_one_dataset_for_two_inputs_leaves_out_nothing(lake):
    @hven.analysis(
        stars=hven.Table(feh="dex"), others=hven.Table(feh="dex"), produces={"sum_feh": "dex"}, per_object=True
    )
    def twice(stars: xr.Dataset, others: xr.Dataset) -> xr.Dataset:
        """Metallicity, twice."""
        return xr.Dataset({"sum_feh": stars.feh + others.feh})

    inputs = {"stars": "stars", "others": hven.select("stars", where="feh > 0")}
    run = hven.run(lake, twice, inputs, cluster="synchronous")
    assert (joins_of(run), run.rows["out"]) == ([], 200)


def test_an_update_counts_anew_what_a_join_leaves_out(lake):
    asked = (lake, late_feh, {"stars": "stars+ages"})
    how = {"cluster": "synchronous", "block_rows": 70}
    first = hven.run(*asked, **how)
    new = lake["stars"].table().collect().head(2)
    with lake.transaction() as tx:
        tx.append("stars", new.with_columns(object_id=pl.Series([10**10, 10**10 + 1])))
    again = hven.run(*asked, **how)
    # Nothing of the result changes; what is missing from it does.
    assert (again.was_up_to_date, again.commit) == (True, first.commit)
    assert [told[:20] for told in joins_of(again)] == ["Join: 152 of 602 obj"]
    with lake.transaction() as tx:
        tx.append("ages", pl.DataFrame({"object_id": [10**10, 10**10 + 1], "age": 1.0}))
    assert [told[:20] for told in joins_of(hven.run(*asked, **how))] == ["Join: 150 of 602 obj"]


@pytest.mark.parametrize("analysis", [late_feh, mean_of_dated])
def test_a_dataset_without_ids_needs_none_when_nothing_is_joined(tmp_path, analysis):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"feh": [0.1, 0.2], "age": [1.0, 2.0]}))
    run = hven.run(lake, analysis, {"stars": "stars"}, cluster="synchronous")
    assert (run.rows["in"], joins_of(run)) == (2, [])
    with pytest.raises(errors.TooFewObjectsError, match="no object is left"):
        hven.run(lake, analysis, {"stars": hven.select("stars", where="feh > 3")}, cluster="synchronous")


def test_of_very_many_objects_an_even_share_is_counted(tmp_path):
    lake = hven.create(tmp_path / "lake")
    ids = np.arange(40_000)
    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": ids, "feh": 0.0}))
        tx.write("ages", pl.DataFrame({"object_id": ids[::4], "age": 1.0}))
    request = make_request(lake, late_feh, {"stars": "stars+ages"}, None, None, None)
    (exact,) = left_out(request.inputs)
    assert (exact.missing, exact.objects, exact.share) == (30_000, 40_000, 1)
    (about,) = left_out(request.inputs, 12_000)
    assert about.share == 5
    assert abs(about.missing / about.objects - 0.75) < 5 * np.sqrt(0.75 * 0.25 / about.objects)
    assert about.told.startswith("Join: about ")


def test_the_command_prints_what_a_join_leaves_out(lake):
    where = ["--where", "feh > -2"]
    command = ["run", "metallicity_gradients", "--input", "stars=stars+ages", "--cluster", "synchronous", *where]
    printed = CliRunner().invoke(app, [*command, "--lake", lake.url])
    text = " ".join(printed.output.split())
    assert printed.exit_code == 0, text
    assert "Join: 150 of 600 objects of 'stars' that the selection does not exclude have no row in 'ages'" in text

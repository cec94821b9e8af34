"""Neighbours across the borders of blocks: whatever the blocks are, an analysis with a margin gives the same."""

import numpy as np
import polars as pl
import pytest
import xarray as xr
from astropy.coordinates import SkyCoord

import hven
from hven.sky import cone, healpix_29

RADIUS = 0.2


@hven.analysis(
    per_object=True,
    stars=hven.Table(ra="deg", dec="deg", feh="dex"),
    produces={"neighbours": "", "mean_feh": "dex"},
    margin=f"{RADIUS} deg",
)
def crowding(stars: xr.Dataset) -> xr.Dataset:
    """Return how many others lie within 0.2 deg of each star, and their mean metallicity."""
    places = SkyCoord(stars.ra.values, stars.dec.values, unit="deg")
    near = (places[:, None].separation(places[None]).deg <= RADIUS) & ~np.eye(len(places), dtype=bool)
    count = near.sum(axis=1)
    mean = np.divide(near @ stars.feh.values, count, out=np.full(len(count), np.nan), where=count > 0)
    return xr.Dataset({"neighbours": ("object", count), "mean_feh": ("object", mean)})


@hven.analysis(
    per_object=True,
    stars=hven.Table(ra="deg", dec="deg"),
    spectra=hven.Table(snr=""),
    produces={"brightest": ""},
    margin=f"{RADIUS} deg",
)
def brightest(stars: xr.Dataset, spectra: xr.Dataset) -> xr.Dataset:
    """Return the best signal to noise within 0.2 deg, from another input that is joined by id."""
    assert spectra.is_margin.values.tolist() == stars.is_margin.values.tolist()
    places = SkyCoord(stars.ra.values, stars.dec.values, unit="deg")
    near = places[:, None].separation(places[None]).deg <= RADIUS
    return xr.Dataset({"brightest": ("object", np.where(near, spectra.snr.values, -np.inf).max(axis=1))})


@hven.analysis(per_object=True, spectra=hven.Spectra(ivar=False), produces={"peak": ""}, margin=f"{RADIUS} deg")
def peak(spectra: xr.Dataset) -> xr.Dataset:
    """Return the largest flux of a whole block with its margin."""
    assert spectra.flux.shape == (spectra.sizes["object"], 7)
    return xr.Dataset({"peak": ("object", spectra.flux.values.max(axis=1))})


def stars(first, count, seed):
    """Return stars in two clumps, around RA 0 and around the pole."""
    rng = np.random.default_rng(seed)
    clump = rng.random(count) < 0.5
    ra = np.where(clump, rng.normal(0, 0.5, count) % 360, rng.uniform(0, 360, count))
    dec = np.where(clump, rng.normal(0, 0.5, count), 90 - abs(rng.normal(0, 0.5, count)))
    frame = pl.DataFrame({"object_id": np.arange(first, first + count), "ra": ra, "dec": dec})
    more = {"feh": rng.normal(size=count), "snr": rng.uniform(5, 100, count)}
    return frame.with_columns(**{k: pl.Series(v) for k, v in more.items()}, _healpix_29=healpix_29(ra, dec)).sort(
        "_healpix_29"
    )


@pytest.fixture
def lake(tmp_path):
    lake = hven.create(tmp_path / "lake")
    first, second = stars(0, 300, 1), stars(300, 200, 2)
    with lake.transaction() as tx:
        tx.write("stars", first)
        tx.append("stars", second)
        tx.write("fluxes", pl.concat([first, second]).select("object_id", "snr"))
        tx.write("spectra", spectra(first), kind="spectra")
        tx.append("spectra", spectra(second))
    return lake


def spectra(frame):
    columns = {name: ("object", frame[name].to_numpy()) for name in ("object_id", "ra", "dec", "_healpix_29")}
    flux = frame["snr"].to_numpy()[:, None] * np.linspace(0, 1, 7)
    wavelength = ("wavelength", np.linspace(4e3, 5e3, 7), {"units": "Angstrom"})
    return xr.Dataset({**columns, "flux": (("object", "wavelength"), flux), "wavelength": wavelength})


def computed(lake, *arguments, **options):
    run = hven.run(lake, *arguments, cluster="synchronous", progress=False, force=True, **options)
    assert run.state == "succeeded", run.record["failures"]
    return run.result.table().collect().sort("object_id")


def expected(frame, asked):
    """Return what brute force over all stars finds for those that are asked."""
    places = SkyCoord(frame["ra"].to_numpy(), frame["dec"].to_numpy(), unit="deg")
    mine = np.flatnonzero(frame["object_id"].is_in(asked.implode()).to_numpy())
    near = places[mine, None].separation(places[None]).deg <= RADIUS
    near[np.arange(len(mine)), mine] = False
    return dict(zip(frame["object_id"].to_numpy()[mine].tolist(), near.sum(axis=1).tolist(), strict=True))


@pytest.mark.parametrize("rows", [7, 64, 1000])
def test_every_neighbour_is_there_whatever_the_blocks_and_segments(lake, rows):
    found = computed(lake, crowding, {"stars": "stars"}, block_rows=rows)
    everything = lake["stars"].table().collect()
    counts = expected(everything, everything["object_id"])
    assert sum(counts.values()) > 500
    assert dict(zip(found["object_id"], found["neighbours"], strict=True)) == counts


def test_neighbours_obey_the_condition_and_come_from_beyond_the_region(lake):
    region, where = cone(0, 90, 0.4), "snr > 20"
    selection = hven.select("stars", where=where, region=region)
    found = computed(lake, crowding, {"stars": selection}, block_rows=16)
    kept = lake["stars"].table(where=where).collect()
    asked = lake["stars"].table(where=where, region=region).collect()["object_id"]
    assert dict(zip(found["object_id"], found["neighbours"], strict=True)) == expected(kept, asked)


def test_other_inputs_follow_the_neighbours_by_id(lake):
    small = computed(lake, brightest, {"stars": "stars", "spectra": "fluxes"}, block_rows=16)
    large = computed(lake, brightest, {"stars": "stars", "spectra": "fluxes"}, block_rows=1000)
    joined = computed(lake, brightest, {"stars": "stars+fluxes", "spectra": "spectra+fluxes"}, block_rows=16)
    assert small.equals(large)
    assert small.equals(joined)
    assert (small["brightest"] >= lake["fluxes"].table().collect().sort("object_id")["snr"]).all()


def test_wide_arrays_have_margins_too(lake):
    small = computed(lake, peak, {"spectra": "spectra"}, block_rows=16)
    assert small["peak"].to_list() == pytest.approx(
        lake["stars"].table().collect().sort("object_id")["snr"].to_list(), rel=1e-6
    )


def test_a_result_counts_its_own_objects_only(lake):
    run = hven.run(lake, crowding, {"stars": "stars"}, cluster="synchronous", progress=False, block_rows=16)
    assert run.record["rows"] == {"in": 500, "out": 500}
    assert "is_margin" not in run.result.schema.names

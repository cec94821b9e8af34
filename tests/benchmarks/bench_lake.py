"""Reading and ingesting spectra, against the engines alone."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import icechunk
import numpy as np
import zarr
from zarr.codecs import BloscCodec

import hven
from benchmarks.harness import benchmark, best_of_each
from benchmarks.survey import STARS, spectra, stars
from hven.lake import BLOCK_ROWS
from hven.lake.parts import CHUNK, SHARD

FLUXES = ("flux", "flux_err")


def write_with_zarr(store: object, data: dict[str, np.ndarray]) -> None:
    """Write spectra in the chunks, shards and compression that hven uses, and columns in one chunk each."""
    group = zarr.open_group(store, mode="w")
    codec = BloscCodec(cname="lz4", shuffle="shuffle")
    for name, values in data.items():
        is_column = values.ndim == 1
        group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=values.shape if is_column else (CHUNK, *values.shape[1:]),
            shards=None if is_column else (SHARD, *values.shape[1:]),
            compressors=codec,
        )[...] = values


@benchmark(target=0.9, against="zarr alone on the same chunks in a plain folder")
def read_spectra(folder: Path) -> float:
    """Speed of reading all spectra block by block as runs do, relative to zarr on arrays of the same layout."""
    data = spectra(2 * STARS)
    lake = hven.create(folder / "lake")
    with lake.transaction() as tx:
        tx.write("spectra", data)
    write_with_zarr(str(folder / "plain"), {name: data[name].values for name in FLUXES})

    def with_hven() -> None:
        handle = hven.open(folder / "lake")["spectra"]
        for block in handle.blocks():
            assert handle.source.read(block, FLUXES).sizes["object"] == block.rows

    def with_zarr() -> None:
        group = zarr.open_group(str(folder / "plain"), mode="r")
        for start in range(0, data.sizes["object"], BLOCK_ROWS):
            for name in FLUXES:
                assert len(group[name][start : start + BLOCK_ROWS]) > 0

    ours, peer = best_of_each(with_hven, with_zarr, rounds=9)
    return peer / ours


@benchmark(target=0.7, against="writing the same arrays with Icechunk alone")
def ingest_spectra(folder: Path) -> float:
    """Speed of ingesting stars and spectra that are in memory, relative to writing columns and spectra as they come.

    The peer makes no ids and no order on the sky, looks for no bad values, and computes no coverage.
    """
    numbers = count()
    table, arrays = stars(), spectra().drop_vars("object_id")
    columns = {name: table[name].to_numpy() for name in table.columns}
    columns |= {"flux": arrays.flux.values, "flux_err": arrays.flux_err.values}

    @hven.reader(name="in_memory", produces={"": "table", "spectra": "spectra"})
    def in_memory(path: str | None = None) -> Iterator[hven.Batch]:
        yield hven.Batch({"": table, "spectra": arrays}, identity=("source_id",), position=("ra", "dec"))

    def with_hven() -> None:
        lake = hven.create(folder / f"lake-{next(numbers)}")
        report = hven.ingest_files(lake, reader=in_memory, name="stars", progress=False)
        assert report.rows == table.height

    def with_icechunk() -> None:
        place = folder / f"repository-{next(numbers)}"
        repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(place)))
        session = repository.writable_session("main")
        write_with_zarr(session.store, columns)
        session.commit("spectra")

    def with_nothing_left() -> None:
        for place in folder.iterdir():
            shutil.rmtree(place)

    ours, peer = best_of_each(with_hven, with_icechunk, rounds=9, between=with_nothing_left)
    return peer / ours

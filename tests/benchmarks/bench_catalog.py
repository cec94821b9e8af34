"""Opening a lake with many datasets and searching its catalog, against Intake loading the same file."""

from pathlib import Path

import numpy as np

import hven
from benchmarks.harness import benchmark, best_of_each
from hven.catalog import Catalog, Commit, Counts, Entry, Pin
from hven.lake import chain
from hven.lake.schemas import forget_schemas
from hven.lake.source import schema_key
from hven.schema import Column, Schema
from hven.sky import coverage

DATASETS, COLUMNS = 1_000, 30
UNITS = ("", "deg", "mas", "mas/yr", "km/s", "K", "dex", "mag", "Gyr", "kpc")


def schema(number: int) -> Schema:
    """Return 30 columns of which no two datasets have the same; one dataset in a hundred has one in ``km/s``."""
    units = [unit for unit in UNITS if unit != "km/s" or number % 100 == 0]
    return Schema(
        tuple(
            Column(
                f"column_{number}_{n}",
                "float64",
                unit=units[n % len(units)],
                description=f"Quantity number {n} of the survey as its pipeline {number} measures it",
                ucd="phys.abund.Fe;meta.main",
            )
            for n in range(COLUMNS)
        )
    )


def entry(number: int, columns: Schema, cells: np.ndarray) -> Entry:
    """Return an entry as full as those of real datasets: texts, coverage, provenance."""
    name = f"dataset_{number:04d}"
    return Entry(
        name,
        "spectra" if number % 50 == 0 else "table",
        Pin("delta", f"data/{name}/0123456789ab/table", 1),
        columns.digest,
        Counts(100_000, 50_000_000, 3),
        columns.names,
        tuple(dict.fromkeys(column.unit for column in columns)),
        survey=f"Survey {number % 20}",
        title=f"Stars of field {number}",
        description="Stellar parameters and abundances of giants, from spectra, with errors.",
        citation=("2022ApJS..259...35A",),
        coverage=coverage(cells),
        provenance={"how": "ingest", "reader": ["hven_plugins.files:fits_table"], "options": {}, "n_files": 1},
        created=1,
        changed=1,
    )


def many_datasets(folder: Path) -> hven.Lake:
    """Return a lake with 1,000 datasets, entered in one commit; their data themselves are not there."""
    lake, rng = hven.create(folder / "lake"), np.random.default_rng(1)
    entries = {}
    for number in range(DATASETS):
        columns = schema(number)
        lake.store.put(schema_key(columns.digest), columns.to_json())
        cells = rng.integers(12 * 4**29, size=20)
        made = entry(number, columns, cells)
        entries[made.name] = made
    commit = Commit(1, "0" * 32, "2026-01-01T00:00:00Z", "a thousand datasets", dict.fromkeys(entries, "created"))
    chain.publish(lake.store, lake.catalog, (), lambda _base, _number: Catalog(commit, entries))
    return hven.open(lake.url)


@benchmark(target=30, against="intake.from_yaml_file of the same catalog, loading only")
def search_thousand_datasets(folder: Path) -> float:
    """Speed of opening a lake with 1,000 datasets of 30 columns and searching it by text and kind, then by unit.

    Nothing is remembered from before. Intake only loads the catalog file.
    """
    import intake

    lake = many_datasets(folder)
    file = f"{lake.url}/{chain.catalog_key(1)}"

    def with_hven() -> None:
        chain.forget_catalogs()
        forget_schemas()
        catalog = hven.open(lake.url).catalog
        assert catalog.search("giants field", kind="spectra").names[1] == "dataset_0050"
        assert len(catalog.search(unit="km s-1")) == DATASETS / 100

    def with_intake() -> None:
        assert len(intake.from_yaml_file(file).entries) == DATASETS

    ours, peer = best_of_each(with_hven, with_intake, rounds=3)
    return peer / ours

"""A dataset keeps the quality sheet of its columns, and an ingest notes what in them needs attention."""

import json

import numpy as np
import polars as pl
import pytest

import hven
from hven.ingest.quality_sheets import quality_sheet


@pytest.fixture
def night(tmp_path):
    def write(number, rows=200):
        rng = np.random.default_rng(number)
        errors = rng.lognormal(-2.5, 0.4, rows)
        errors[rng.random(rows) < 0.4] = 9.99
        frame = pl.DataFrame(
            {
                "source_id": np.arange(rows) + 1000 * number,
                "FE_H": rng.normal(0, 0.3, rows),
                "FE_H_ERR": errors,
                "distance": rng.lognormal(7, 0.3, rows),
            }
        )
        path = tmp_path / f"night{number}.csv"
        frame.write_csv(path)
        return path, frame

    return write


def test_fillers_and_units_that_do_not_suit_are_noted_and_the_sheet_is_kept(tmp_path, night):
    lake = hven.create(tmp_path / "lake")
    path, frame = night(1)
    report = hven.ingest_files(lake, path, name="stars", progress=False)
    noted = {note.column: note.text for note in report.notes if note.needs_attention}
    assert f"9.99 looks like a filler: {(frame['FE_H_ERR'] == 9.99).sum()} of 200 values" in noted["feh_err"]
    assert "median" in noted["distance"]
    sheet = quality_sheet(lake, lake["stars"].entry)
    assert (sheet.rows, sheet["feh_err"].fillers[0].value) == (200, 9.99)
    assert lake["stars"].schema["distance"].assumed == "unit"


def test_an_append_merges_its_sheet_and_rows_that_go_leave_none(tmp_path, night):
    lake = hven.create(tmp_path / "lake")
    hven.ingest_files(lake, night(1)[0], name="stars", progress=False)
    hven.ingest_files(lake, night(2)[0], name="stars", mode="append", progress=False)
    sheet = quality_sheet(lake, lake["stars"].entry)
    assert (sheet.rows, sheet["source_id"].largest[-1]) == (400, 2199)
    with lake.transaction("fewer") as tx:
        tx.delete("stars", "feh > 0")
    assert quality_sheet(lake, lake["stars"].entry) is None


def test_show_prints_the_sheet(tmp_path, night, command):
    lake = hven.create(tmp_path / "lake")
    hven.ingest_files(lake, night(1)[0], name="stars", progress=False)
    shown = command(f"show stars --lake {lake.url}").out
    assert "quality of" in shown
    assert "! column 'feh_err': 9.99 looks like a filler" in " ".join(shown.split())
    told = json.loads(command(f"show stars --lake {lake.url} --json").out)["quality"]
    assert {column["name"]: column for column in told}["feh_err"]["fillers"][0]["value"] == 9.99

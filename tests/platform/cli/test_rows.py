import json

import polars as pl
import pytest

from hven.cli.rows_text import rows_text


@pytest.fixture
def at_lake(command, small_lake):
    return lambda text: command(f"{text} --lake '{small_lake.url}'")


def test_head_shows_rows_under_names_and_units(at_lake, small_lake):
    said = at_lake("head stars -n 3 --column teff --column feh")
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].split() == ["teff", "[K]", "feh", "[dex]"]
    first = small_lake["stars"].table(["teff", "feh"]).head(1).collect().row(0)
    assert [float(cell) for cell in lines[2].split()] == pytest.approx(first, abs=1e-6)
    assert lines[-1] == "the first 3 of 600 objects"


def test_head_takes_conditions_regions_and_older_states(at_lake, small_lake):
    rows = json.loads(at_lake("head stars -n 600 --where 'feh > 0' --region 'cone(190, 5, 60)' --at dr1 --json").out)
    expected = small_lake["stars"].table(None, "feh > 0", "cone(190, 5, 60)").collect()
    assert [row["object_id"] for row in rows] == expected["object_id"].to_list()
    assert at_lake("head stars --at 0").status == 1


def test_head_of_spectra_tells_the_range_of_each(at_lake, small_lake):
    said = at_lake("head spectra -n 2")
    flux = small_lake["spectra"].dataset()["flux"].values[0]
    assert "flux (wavelength)" in said.out
    assert f"{flux.min():.4g} .. {flux.max():.4g}" in said.out


def test_head_of_a_cube_lists_its_variables(command, lake):
    import numpy as np
    import xarray as xr

    with lake.transaction() as tx:
        tx.write(
            "dust",
            xr.Dataset({"a_v": (("y", "x"), np.array([[1.0, 2.5], [0.5, 1.0]]), {"units": "mag"})}),
            kind="result",
        )
    said = command(f"head dust --lake {lake.url}")
    assert "y 2, x 2" in said.out
    assert "0.5 .. 2.5" in said.out
    assert json.loads(command(f"head dust --json --lake {lake.url}").out)[0]["unit"] == "mag"


def test_rows_show_nulls_align_numbers_and_keep_ids_exact():
    frame = pl.DataFrame(
        {
            "id": [2**62 + 1, 7],
            "name": ["a\x1b[31m", None],
            "feh": [-1.25, None],
            "snr": [float("nan"), float("inf")],
            "flux": [1e-12, 3.0],
            "good": [True, None],
        }
    )
    lines = rows_text(frame, {"feh": "dex"}).splitlines()
    assert lines[0].split() == ["id", "name", "feh", "[dex]", "snr", "flux", "good"]
    assert lines[2].split() == ["4611686018427387905", "a\\x1b[31m", "-1.25", "nan", "1e-12", "true"]
    assert lines[3].split() == ["7", "null", "null", "inf", "3", "null"]
    assert (
        len({line.index(cell) + len(cell) for line, cell in zip(lines[2:], ["4611686018427387905", "7"], strict=True)})
        == 1
    )


def test_columns_that_do_not_fit_are_counted():
    frame = pl.DataFrame({f"column_{n}": [n] for n in range(300)})
    lines = rows_text(frame, width=80).splitlines()
    assert max(map(len, lines[:-1])) <= 80
    shown = len(lines[0].split())
    assert lines[-1].startswith(f"{300 - shown} more columns: column_{shown}, ")


def test_query_answers_for_people_and_for_scripts(at_lake):
    said = at_lake("query 'SELECT COUNT(*) AS n, MIN(feh) AS least FROM stars'")
    assert said.status == 0, said.err
    assert said.out.split()[:2] == ["n", "least"]
    rows = json.loads(at_lake("query 'SELECT object_id, feh FROM stars' --json").out)
    assert len(rows) == 600
    assert "the first 50 rows" in at_lake("query 'SELECT * FROM stars'").out


def test_query_writes_a_file(at_lake, tmp_path):
    said = at_lake(f"query 'SELECT object_id, feh FROM stars WHERE feh > 0' --output {tmp_path / 'rich.csv'}")
    assert said.status == 0, said.err
    assert pl.read_csv(tmp_path / "rich.csv")["feh"].min() > 0
    again = at_lake(f"query 'SELECT object_id FROM stars' --output {tmp_path / 'rich.csv'}")
    assert "[bad-parameter]" in again.err


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT * FROM read_csv('/etc/passwd')", "bad-query"),
        ("DROP TABLE stars", "bad-query"),
        ("SELECT * FROM nothing_like_it", "dataset-not-found"),
        ("SELECT CAST(CAST(feh AS VARCHAR) AS DATE) FROM stars", "data-refused"),
    ],
)
def test_query_tells_what_is_wrong_in_one_paragraph(at_lake, query, code):
    said = at_lake(f'query "{query}"')
    assert said.status == 1
    assert said.err.startswith(f"Error [{code}]")
    assert "Traceback" not in said.err
    assert "root:" not in said.err

"""Files of one dataset that say a unit, or none: what is taken for granted between them is noted."""

import pytest

import hven


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


def table(path, name, values="1000"):
    path.write_text(f"source_id,ra,dec,{name}\n{abs(hash(path.name)) % 997},10,20,{values}\n")
    return path


@pytest.mark.parametrize("names", [("dist [pc]", "dist"), ("dist", "dist [kpc]"), ("redshift [km/s]", "redshift")])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_unit_that_only_one_of_two_files_has_needs_attention(tmp_path, lake, names, at_once):
    files = [table(tmp_path / f"{number}.csv", name) for number, name in enumerate(names)]
    if at_once:
        report = hven.ingest_files(lake, files, name="stars", progress=False)
    else:
        hven.ingest_files(lake, files[0], name="stars", progress=False)
        report = hven.ingest_files(lake, files[1], name="stars", mode="append", progress=False)
    (note,) = (note for note in report.attention if "in one file" in note.text)
    assert note.column == names[0].split(" ")[0]
    assert lake["stars"].entry.counts.rows == 2


def test_the_same_unit_no_unit_and_no_values_need_no_attention(tmp_path, lake):
    files = [table(tmp_path / f"{n}.csv", "dist [pc]") for n in range(2)] + [table(tmp_path / "2.csv", "dist", "")]
    assert not [n for n in hven.ingest_files(lake, files, name="a", progress=False).attention if "unit" in n.text]
    files = [table(tmp_path / f"{n}.csv", "dist") for n in range(3, 5)]
    assert not [n for n in hven.ingest_files(lake, files, name="b", progress=False).attention if "unit" in n.text]

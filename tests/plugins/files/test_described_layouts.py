"""Text tables whose header describes their layout: MRT, IPAC, SExtractor, read back as they were written."""

import io

import pytest
from astropy import units as u
from astropy.io import ascii as tables
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import UnreadableFileError
from hven.plugins import plugins
from hven_plugins.files import ascii_layout


def read(path):
    assert plugins().reader_for(path).name == "ascii_layout"
    (batch,) = ascii_layout(str(path))
    return batch


@given(st.data(), st.sampled_from(["mrt", "ipac"]))
def test_random_tables_written_by_astropy_come_back(tmp_path_factory, data, form):
    height = data.draw(st.integers(2, 8))
    numbers = st.integers(-(10**9), 10**9)
    values = {
        "Seq": data.draw(st.lists(numbers, min_size=height, max_size=height)),
        "Teff": [n / 100 for n in data.draw(st.lists(numbers, min_size=height, max_size=height))],
        "Name": data.draw(st.lists(st.text("abcXYZ", min_size=2, max_size=6), min_size=height, max_size=height)),
    }
    path = tmp_path_factory.mktemp("t") / "t.txt"
    tables.write(Table(values, units={"Teff": "K"}), path, format=form)
    batch = read(path)
    frame = batch.parts[""]
    assert frame["Seq"].to_list() == values["Seq"]
    assert frame["Teff"].to_list() == pytest.approx(values["Teff"], rel=1e-12)
    assert frame["Name"].to_list() == values["Name"]
    assert next(column.unit for column in batch.columns if column.name == "Teff") == "K"


def test_split_positions_of_a_machine_readable_table_are_put_together(tmp_path):
    header = (
        "Title: t\nAuthors: a\nTable: t\n" + "=" * 80 + "\nByte-by-byte Description of file: t.txt\n" + "-" * 80 + "\n"
        "   Bytes Format Units   Label    Explanations\n" + "-" * 80 + "\n"
        "   1-  2 I2     h       RAh      Hour\n   4-  5 I2     min     RAm      Minute\n"
        "   7- 10 F4.1   s       RAs      Second\n  12     A1     ---     DE-      Sign\n"
        "  13- 14 I2     deg     DEd      Degree\n  16- 17 I2     arcmin  DEm      Arcminute\n"
        "  19- 20 I2     arcsec  DEs      Arcsecond\n  22- 26 F5.2   [Sun]   [Fe/H]   ? Iron\n" + "-" * 80 + "\n"
    )  # fmt: skip
    (tmp_path / "t.txt").write_text(header + "00 30 00.0 -00 30 00 -1.25\n12 00 00.0 +10 30 00      \n")
    batch = read(tmp_path / "t.txt")
    assert batch.parts[""].select(batch.position).rows() == [(7.5, -0.5), (180.0, 10.5)]
    assert batch.parts[""]["[Fe/H]"].to_list() == [-1.25, None]
    assert next(column.unit for column in batch.columns if column.name == "[Fe/H]") == "dex"


def test_a_sextractor_catalog_has_the_names_and_units_of_its_header(tmp_path):
    (tmp_path / "t.cat").write_text(
        "#   1 NUMBER  Number\n#   2 ALPHA_J2000 RA [deg]\n#   3 DELTA_J2000 Dec [deg]\n 1 10.5 20.5\n"
    )
    assert read(tmp_path / "t.cat").position == ("ALPHA_J2000", "DELTA_J2000")


def test_two_tables_with_their_descriptions_in_one_file_are_refused(tmp_path):
    text = io.StringIO()
    tables.write(Table({"a": [1, 2] * u.K}), text, format="mrt")
    (tmp_path / "t.txt").write_text(text.getvalue() * 2)
    with pytest.raises(UnreadableFileError, match="describes 2 tables"):
        read(tmp_path / "t.txt")

"""VOTables whose values do not fit what their fields say: what is lost or changed on the way is noted or refused."""

import numpy as np
import pytest

from hven.errors import UnreadableFileError
from hven_plugins.files import votable


def read(path, field, values, table="<TABLE>"):
    rows = "".join(f"<TR><TD>{number}</TD><TD>{value}</TD></TR>" for number, value in enumerate(values))
    path.write_text(
        '<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>'
        f'{table}<FIELD name="id" datatype="long"/>{field}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE>'
        "</RESOURCE></VOTABLE>"
    )
    (batch,) = votable(str(path))
    frame = batch.parts[""]
    return (frame["x"] if "x" in frame.columns else None), [str(note) for note in batch.notes if note.needs_attention]


@pytest.mark.parametrize(("kind", "value"), [("short", 70000), ("long", 2**64 - 1), ("int", -(2**31) - 1)])
def test_numbers_beyond_their_field_are_refused_and_never_clipped(tmp_path, kind, value):
    with pytest.raises(UnreadableFileError, match=f"cannot hold: Value '{value}'"):
        read(tmp_path / "t.vot", f'<FIELD name="x" datatype="{kind}"/>', [value, 5])


@pytest.mark.parametrize(
    ("field", "values", "kept", "word"),
    [
        ('<FIELD name="x" datatype="double"/>', ["abc", "1.5"], [None, 1.5], "no numbers"),
        ('<FIELD name="x" datatype="char"/>', ["abc", "d"], ["a", "d"], "are cut"),
        (
            '<FIELD name="x" datatype="int"><VALUES null="none"/></FIELD>',
            ["0", "1"],
            [None, 1],
            "0 is taken as missing",
        ),
    ],
)
def test_values_that_are_lost_or_cut_need_attention(tmp_path, field, values, kept, word):
    found, notes = read(tmp_path / "t.vot", field, values)
    assert found.to_list() == kept
    assert len(notes) == 1
    assert word in notes[0]


def test_a_table_of_other_length_than_it_says_needs_attention(tmp_path):
    _, (note,) = read(tmp_path / "t.vot", '<FIELD name="x" datatype="int"/>', [1, 2], '<TABLE nrows="5">')
    assert "another number of rows" in note


@pytest.mark.parametrize("values", [["", "NaN", "+Inf", "-1e5"]])
def test_what_is_missing_or_infinite_by_the_standard_needs_none(tmp_path, values):
    found, notes = read(tmp_path / "t.vot", '<FIELD name="x" datatype="double"/>', values)
    assert found.to_list() == [None, None, np.inf, -1e5]
    assert not notes
    found, notes = read(tmp_path / "t.vot", '<FIELD name="x" datatype="int"/>', ["", "5"])
    assert (found.to_list(), notes) == ([None, 5], [])


def test_missing_elements_of_vectors_of_whole_numbers_are_nan(tmp_path):
    field = '<FIELD name="x" datatype="int" arraysize="2"><VALUES null="-1"/></FIELD>'
    found, notes = read(tmp_path / "t.vot", field, ["1 -1", "3 4"])
    assert np.array_equal(found.to_numpy(), [[1, np.nan], [3, 4]], equal_nan=True)
    assert not notes

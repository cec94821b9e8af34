"""JSON objects of objects: values go by their label, and rows are told from columns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import ReaderNotFoundError
from hven.plugins import plugins
from hven_plugins.files import json_records
from hven_plugins.files.json_labels import labelled_columns


def read(path, content):
    path.write_text(json.dumps(content))
    (batch,) = json_records(str(path))
    return batch


@given(st.permutations(["5", "17", "3"]), st.permutations(["5", "17", "3"]))
def test_values_stand_in_the_row_of_their_label_whatever_their_order(first, second):
    content = {"ra": {label: 10 * int(label) for label in first}, "name": {label: f"n{label}" for label in second}}
    columns, notes = labelled_columns(content)
    assert {(i, r, n) for i, r, n in zip(*columns.values(), strict=True)} == {
        (5, 50, "n5"), (17, 170, "n17"), (3, 30, "n3")
    }  # fmt: skip
    assert not notes


@pytest.mark.parametrize(
    "content",
    [
        {"HD1": {"ra": 10.5, "dec": 1.5, "type": "G"}, "HD2": {"type": "K", "dec": 2.5, "ra": 20.5}},
        {"ra": {"HD1": 10.5, "HD2": 20.5}, "dec": {"HD2": 2.5, "HD1": 1.5}, "type": {"HD1": "G", "HD2": "K"}},
    ],
)
def test_records_by_name_and_columns_by_name_are_one_table(tmp_path, content):
    batch = read(tmp_path / "t.json", content)
    assert batch.parts[""].sort("ra").rows() == [("HD1", 10.5, 1.5, "G"), ("HD2", 20.5, 2.5, "K")]
    assert not any(note.needs_attention for note in batch.notes)


def test_records_of_numbers_alone_are_known_by_their_names_and_others_need_attention(tmp_path):
    batch = read(tmp_path / "t.json", {"HD1": {"ra": 10.5, "dec": 1.5}, "HD2": {"dec": 2.5, "ra": 20.5}})
    assert batch.parts[""].columns == ["index", "ra", "dec"]
    batch = read(tmp_path / "u.json", {"a": {"x": 10.5, "y": 1.5}, "b": {"y": 2.5, "x": 20.5}})
    assert batch.parts[""].columns == ["index", "a", "b"]
    assert any(note.needs_attention for note in batch.notes)


def test_a_missing_value_is_null_and_labels_that_count_are_no_column(tmp_path):
    batch = read(tmp_path / "t.json", {"0": {"id": 7, "x": 1.5, "y": 1}, "1": {"id": 8, "y": 2}})
    assert batch.parts[""].rows() == [(7, 1.5, 1), (8, None, 2)]


def test_columns_under_one_name_are_read_and_objects_of_different_things_refused(tmp_path):
    batch = read(tmp_path / "t.json", {"stars": {"id": [7, 8], "ra": [1.5, 2.5]}})
    assert batch.parts[""].rows() == [(7, 1.5), (8, 2.5)]
    (tmp_path / "u.json").write_text(json.dumps({"header": {"rows": 2, "of": 1}, "stars": {"ra": [1], "dec": [2]}}))
    with pytest.raises(ReaderNotFoundError, match="no records of one kind"):
        plugins().reader_for(tmp_path / "u.json")

"""JSON objects of objects: columns with a label for each row, or records with a label each, told apart and aligned."""

from collections.abc import Mapping
from typing import Any

from hven import Note
from hven_plugins.files.exact_ids import is_id

_POSITIONS = frozenset(("ra", "dec", "raj2000", "dej2000", "glon", "glat"))


def are_labelled(content: Mapping[str, Any]) -> bool:
    """Return whether each value of an object is an object of single values, under mostly the same keys.

    Examples
    --------
    >>> are_labelled({"ra": {"0": 1.5, "1": 2.5}, "name": {"0": "a", "1": "b"}})
    True
    >>> are_labelled({"header": {"rows": 2}, "stars": {"ra": [1.5, 2.5]}})
    False
    """
    inner = [value for value in content.values() if isinstance(value, dict) and value]
    if not inner or len(inner) < len(content):
        return False
    keys = {key for value in inner for key in value}
    is_same = all(2 * len(value) > len(keys) for value in inner)
    return is_same and not any(isinstance(one, dict) for value in inner for one in value.values())


def labelled_columns(content: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, list[Any]], list[Note]]:
    """Return the columns of an object of objects, each value in the row of its label, and what is doubtful.

    The outer names are those of columns, as pandas writes them, or of rows: counts are rows, and a column holds values
    of one kind. Labels that are more than counts become the column ``index``.

    Examples
    --------
    >>> labelled_columns({"ra": {"0": 1.5, "1": 2.5}, "name": {"1": "b", "0": "a"}})[0]
    {'ra': [1.5, 2.5], 'name': ['a', 'b']}
    >>> labelled_columns({"HD1": {"ra": 1.5, "name": "a"}, "HD2": {"name": "b", "ra": 2.5}})[0]
    {'index': ['HD1', 'HD2'], 'ra': [1.5, 2.5], 'name': ['a', 'b']}
    """
    outer = list(content)
    inner = list(dict.fromkeys(key for value in content.values() for key in value))
    notes: list[Note] = []
    by_rows = _are_rows(content, outer, inner)
    if by_rows is None:
        text = f"whether {outer[0]!r} is a column or a row is not said: it is taken for a column"
        notes.append(Note(text, needs_attention=True))
    if by_rows:
        columns = {name: [content[label].get(name) for label in outer] for name in inner}
        labels = outer
    else:
        columns = {name: [content[name].get(label) for label in inner] for name in outer}
        labels = inner
    if not _is_count(labels):
        name = "index" if "index" not in columns else "index_of_rows"
        columns = {name: _labels(labels), **columns}
    return columns, notes


def _are_rows(content: Mapping[str, Mapping[str, Any]], outer: list[str], inner: list[str]) -> bool | None:
    """Return whether the outer names are those of rows; None when nothing says."""
    counts = [all(key.isdigit() for key in keys) for keys in (inner, outer)]
    if counts[0] != counts[1]:
        return counts[1]
    mixed = [
        sum(_kinds(content[name].values()) > 1 for name in outer),
        sum(_kinds(content[label].get(name) for label in outer) > 1 for name in inner),
    ]
    if mixed[0] != mixed[1]:
        return mixed[0] > mixed[1]
    known = [sum(is_id(key) or key.lower() in _POSITIONS for key in keys) for keys in (inner, outer)]
    return known[0] > known[1] if known[0] != known[1] else None


def _kinds(values: Any) -> int:
    """Return how many kinds values are of: numbers, texts, true and false, lists."""
    return len({"number" if type(v) in (int, float) else type(v).__name__ for v in values if v is not None})


def _is_count(labels: list[str]) -> bool:
    return labels == [str(number) for number in range(len(labels))]


def _labels(labels: list[str]) -> list[Any]:
    are_whole = all(label.isdigit() and (label == "0" or label[0] != "0") for label in labels)
    return [int(label) for label in labels] if are_whole else labels

"""Ids of objects: hashes of what identifies an object in its survey, the same whichever way its files are cut."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from hven.ingest.known_ids import KnownIds


_ROWS_AT_A_TIME = 2**16


@dataclass(frozen=True)
class Numbered:
    """Ids of n rows, and what they were made from.

    Attributes
    ----------
    ids
        Unique, int64, shape (n,).
    first
        The id that the first row of the same identity gets when nothing is taken, int64, shape (n,).
    number
        Of each row among those of its identity, int64, shape (n,).
    first_taken
        For each set of ids that were taken, whether it has `first`, bool, shape (n,).
    """

    ids: "NDArray[np.int64]"
    first: "NDArray[np.int64]"
    number: "NDArray[np.int64]"
    first_taken: "tuple[NDArray[np.bool_], ...]" = ()


def object_ids(identity: "pl.DataFrame", content: "pl.DataFrame", taken: "Sequence[KnownIds]" = ()) -> Numbered:
    """Return a unique id for each of n rows, from its identity and its number among rows of the same identity.

    Rows of one identity are numbered in the order of their content, so the ids do not depend on the order of the rows.
    An id that is taken, by a row of the dataset or (expected once among 4 billion) by another identity, is passed over.

    Parameters
    ----------
    identity
        The columns that tell objects apart in their survey, n rows.
    content
        All columns, n rows.
    taken
        Ids that are in the dataset already.

    Returns
    -------
    Numbered
        Ids from 0 to 2^63 - 1.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"name": ["b", "a", "a"], "feh": [0.1, 0.3, 0.2]})
    >>> made = object_ids(stars.select("name"), stars)
    >>> turned = object_ids(stars.reverse().select("name"), stars.reverse())
    >>> len(set(made.ids)), made.ids[::-1].tolist() == turned.ids.tolist(), made.number.tolist()
    (3, True, [0, 1, 0])
    """
    hashes = _hashes(identity)
    number, among = _numbers(hashes, identity, content)
    first, ids, at = _numbered(hashes, np.zeros_like(number)), _numbered(hashes, number), number.copy()
    first_taken = tuple(known.contain(first) for known in taken)
    bad = _any_of(first_taken, len(ids)) & (at == 0)
    bad[at > 0] = _are_taken(ids[at > 0], taken)
    while (bad := bad | _repeats(ids, identity)).any():
        # Steps of as many as there are rows of this identity never lead two of them to one number.
        at[bad] += among[bad]
        ids[bad] = _numbered(hashes[bad], at[bad])
        changed, bad = bad, np.zeros(len(ids), bool)
        bad[changed] = _are_taken(ids[changed], taken)
    return Numbered(ids, first, number, first_taken)


def text_hashes(texts: "pl.Series") -> "NDArray[np.uint64]":
    """Return a hash of each of n texts, the same on any machine and in any version of the libraries.

    Words of eight UTF-8 bytes are taken in one after the other, each followed by the finaliser of SplitMix64 (Steele,
    Lea and Flood 2014, doi:10.1145/2714064.2660195), for all texts at once.

    Returns
    -------
    numpy.ndarray
        uint64, shape (n,).

    Examples
    --------
    >>> import polars as pl
    >>> hashes = text_hashes(pl.Series(["7", "70"]))
    >>> hex(hashes[0]), text_hashes(pl.Series(["70"]))[0] == hashes[1]
    ('0x66e8fdab7dced5e6', np.True_)
    """
    import pyarrow as pa

    strings = texts.to_arrow().cast(pa.large_binary())
    offsets = np.frombuffer(strings.buffers()[1], np.int64)[strings.offset : strings.offset + len(strings) + 1]
    held = strings.buffers()[2]
    content = np.frombuffer(held, np.uint8) if held is not None else np.zeros(0, np.uint8)
    first, lengths = offsets[:-1], np.diff(offsets)
    hashes = splitmix64(lengths.astype(np.uint64))
    rows = np.flatnonzero(lengths)
    for done in range(0, int(lengths.max(initial=0)), 8):
        rows = rows[lengths[rows] > done]
        word = np.zeros(len(rows), np.uint64)
        for byte in range(8):
            at, is_there = first[rows] + done + byte, lengths[rows] > done + byte
            word |= np.where(is_there, content[np.where(is_there, at, 0)], 0).astype(np.uint64) << np.uint64(8 * byte)
        hashes[rows] = splitmix64(hashes[rows] ^ word)
    return hashes


def _texts(identity: "pl.DataFrame") -> "pl.Series":
    """Return one text for each row, equal for equal identities whatever the file's types were."""
    import polars as pl

    columns = [
        (_bits(series) if series.dtype.is_float() else series).cast(pl.String).fill_null("\x00").alias(str(index))
        for index, series in enumerate(identity.iter_columns())
    ]
    return pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator="\x1f")).to_series()


def _bits(series: "pl.Series") -> "pl.Series":
    """Return the bits of floats as integers: how decimals are printed changes between versions."""
    import polars as pl

    floats = series.cast(pl.Float64).fill_nan(None)
    bits = pl.Series((floats.fill_null(0.0).to_numpy() + 0.0).view(np.int64))
    return pl.select(pl.when(floats.is_not_null()).then(bits)).to_series()


def _hashes(identity: "pl.DataFrame") -> "NDArray[np.uint64]":
    """Return the hash of each row's text; texts are made of some rows at a time: all of a segment took 150 MB."""
    pieces = [text_hashes(_texts(some)) for some in identity.iter_slices(_ROWS_AT_A_TIME)]
    return np.concatenate([np.empty(0, np.uint64), *pieces])


def _numbers(
    hashes: "NDArray[np.uint64]", identity: "pl.DataFrame", content: "pl.DataFrame"
) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Return the number of each row among those of its identity, by content, and how many those are."""
    import polars as pl

    number, among = np.zeros(len(hashes), np.int64), np.ones(len(hashes), np.int64)
    rows = _rows_of_repeated(hashes)  # Equal identities have equal hashes; others are not looked at.
    if len(rows):
        columns = sorted(content.columns)
        some = content[rows].select(columns).insert_column(0, _texts(identity[rows]).alias("\x00key"))
        some = some.insert_column(1, pl.Series("\x00row", rows)).sort("\x00key", *columns, maintain_order=True)
        some = some.select(
            pl.col("\x00row"),
            pl.int_range(pl.len()).over("\x00key").alias("number"),
            pl.len().over("\x00key").alias("among"),
        )
        place = some["\x00row"].to_numpy()
        number[place], among[place] = some["number"].to_numpy(), some["among"].to_numpy()
    return number, among


def _rows_of_repeated(values: "NDArray[Any]") -> "NDArray[np.int64]":
    """Return the rows, ascending, whose value another row has too."""
    ordered = np.sort(values)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(twice, values), len(twice) - 1)
    return np.flatnonzero(twice[at] == values)


def _numbered(hashes: "NDArray[np.uint64]", number: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return ids from 0 to 2^63 - 1 of rows with these hashes and numbers."""
    return (splitmix64(hashes ^ splitmix64(number.astype(np.uint64))) >> np.uint64(1)).astype(np.int64)


def splitmix64(bits: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """Return SplitMix64 of each number: one to one, and every bit of it depends on every bit of the number."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _are_taken(ids: "NDArray[np.int64]", taken: "Sequence[KnownIds]") -> "NDArray[np.bool_]":
    return _any_of([known.contain(ids) for known in taken], len(ids))


def _any_of(masks: "Sequence[NDArray[np.bool_]]", size: int) -> "NDArray[np.bool_]":
    found = np.zeros(size, bool)
    for mask in masks:
        found |= mask
    return found


def _repeats(ids: "NDArray[np.int64]", identity: "pl.DataFrame") -> "NDArray[np.bool_]":
    """Return which ids another row has that comes before in the order of the texts of identities."""
    repeated = np.zeros(len(ids), bool)
    rows = _rows_of_repeated(ids)
    if len(rows):
        seen: set[int] = set()
        for _, id_, row in sorted(
            zip(_texts(identity[rows]).to_list(), ids[rows].tolist(), rows.tolist(), strict=True)
        ):
            repeated[row] = id_ in seen
            seen.add(id_)
    return repeated

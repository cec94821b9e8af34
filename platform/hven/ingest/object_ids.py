"""Ids of objects: hashes of what identifies an object in its survey, the same whichever way its files are cut."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from hven.ingest.known_ids import KnownIds


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
    """

    ids: "NDArray[np.int64]"
    first: "NDArray[np.int64]"
    number: "NDArray[np.int64]"


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
    keys = _texts(identity)
    number, among = _numbers(keys, content)
    hashes = text_hashes(keys)
    first, ids, at = _numbered(hashes, np.zeros_like(number)), _numbered(hashes, number), number.copy()
    while (bad := _are_taken(ids, taken) | _repeats(ids, keys)).any():
        # Steps of as many as there are rows of this identity never lead two of them to one number.
        at[bad] += among[bad]
        ids[bad] = _numbered(hashes[bad], at[bad])
    return Numbered(ids, first, number)


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


def _numbers(keys: "pl.Series", content: "pl.DataFrame") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Return the number of each row among those of its key, by content, and how many those are."""
    import polars as pl

    number, among = np.zeros(keys.len(), np.int64), np.ones(keys.len(), np.int64)
    rows = keys.is_duplicated().arg_true()
    if rows.len():
        columns = sorted(content.columns)
        some = content[rows].select(columns).insert_column(0, keys[rows].alias("\x00key"))
        some = some.insert_column(1, rows.alias("\x00row")).sort("\x00key", *columns, maintain_order=True)
        some = some.select(
            pl.col("\x00row"),
            pl.int_range(pl.len()).over("\x00key").alias("number"),
            pl.len().over("\x00key").alias("among"),
        )
        place = some["\x00row"].to_numpy()
        number[place], among[place] = some["number"].to_numpy(), some["among"].to_numpy()
    return number, among


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
    found = np.zeros(len(ids), bool)
    for known in taken:
        found |= known.contain(ids)
    return found


def _repeats(ids: "NDArray[np.int64]", keys: "pl.Series") -> "NDArray[np.bool_]":
    """Return which ids another row has that comes before in the order of keys."""
    repeated = np.zeros(len(ids), bool)
    ordered = np.sort(ids)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(twice):
        for one in twice:
            rows = sorted(np.flatnonzero(ids == one).tolist(), key=lambda row: str(keys[row]))
            repeated[rows[1:]] = True
    return repeated

"""Ids of objects: hashes of what identifies an object in its survey, the same whichever way its files are cut."""

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


def object_ids(
    identity: "pl.DataFrame", content: "pl.DataFrame", taken: "NDArray[np.int64] | None" = None
) -> "NDArray[np.int64]":
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
    numpy.ndarray
        Ids from 0 to 2^63 - 1, int64, shape (n,).

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"name": ["b", "a", "a"], "feh": [0.1, 0.3, 0.2]})
    >>> ids = object_ids(stars.select("name"), stars)
    >>> turned = object_ids(stars.reverse().select("name"), stars.reverse())
    >>> len(set(ids)), ids[::-1].tolist() == turned.tolist()
    (3, True)
    """
    keys = _texts(identity)
    number, among = _numbers(keys, content)
    names = keys.to_list()
    ids = _hashes(names, number)
    known = np.sort(np.asarray(taken if taken is not None else [], np.int64))
    while (bad := _is_in(ids, known) | _repeats(ids, names)).any():
        # Steps of as many as there are rows of this identity never lead two of them to one number.
        number[bad] += among[bad]
        ids[bad] = _hashes([names[row] for row in np.flatnonzero(bad)], number[bad])
    return ids


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


def _hashes(names: list[str], number: "NDArray[np.int64]") -> "NDArray[np.int64]":
    texts = names
    if number.any():
        texts = [f"{name}\x1e{n}" if n else name for name, n in zip(names, number.tolist(), strict=True)]
    digests = b"".join([_digest(text.encode()) for text in texts])
    return (np.frombuffer(digests, ">u8") >> np.uint64(1)).astype(np.int64)


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=8).digest()


def _is_in(ids: "NDArray[np.int64]", known: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    if not len(known):
        return np.zeros(len(ids), bool)
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.asarray(known[at] == ids)


def _repeats(ids: "NDArray[np.int64]", names: list[str]) -> "NDArray[np.bool_]":
    """Return which ids another row has that comes before in the order of names."""
    repeated = np.zeros(len(ids), bool)
    ordered = np.sort(ids)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(twice):
        for one in twice:
            rows = sorted(np.flatnonzero(ids == one).tolist(), key=lambda row: names[row])
            repeated[rows[1:]] = True
    return repeated

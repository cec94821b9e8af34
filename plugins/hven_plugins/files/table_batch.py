"""What all readers of tables share: which columns are meant, their units, what counts as missing, where rows are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from hven import Batch, Column, Note
from hven.errors import MissingColumnError, ParameterError, UnreadableFileError, did_you_mean
from hven_plugins.files.exact_ids import exact_ids, guessed_identity
from hven_plugins.files.positions import (
    Pair,
    find_pair,
    in_icrs,
    pair_of,
    unknown_positions,
    with_joined_parts,
)

if TYPE_CHECKING:
    import polars as pl

_EVERY = "*"


def table_batch(
    data: "pl.DataFrame",
    told: Iterable[Column],
    where: str,
    file_frame: str | Mapping[str, str] = "",
    notes: Iterable[Note] = (),
    *,
    columns: dict[str, str] | None = None,
    units: dict[str, str] | None = None,
    position: list[str] | None = None,
    identity: list[str] | None = None,
    frame: str = "",
    sentinels: dict[str, list[float]] | None = None,
    valid: dict[str, list[float | None]] | None = None,
    unplaced: Literal["refuse", "drop"] = "refuse",
    survey: str = "",
    title: str = "",
    citation: list[str] | None = None,
) -> Batch:
    """Return a table that was read as a batch; the options are those of every reader of tables.

    Parameters
    ----------
    data
        The rows, under the names of the file.
    told
        What the file says of its columns.
    where
        The file, for errors.
    file_frame
        The frame of positions that the file says, as it writes it ("FK5", "eq_FK4 B1950", "galactic"): one for the
        file, or by column of the file. Positions are converted to ICRS.
    notes
        What the reader has to say of how it read the file.
    columns
        New names, as {"feh": "FE_H"}.
    units
        Units by new name, where the file tells none or a wrong one.
    position
        Columns of right ascension and declination, by new name, [] for none; guessed when not given.
    identity
        Columns that tell objects apart, by new name; guessed when not given.
    frame
        Frame of the position where the file tells none or a wrong one: icrs, fk5, fk4, galactic, ecliptic, with an
        equinox if need be ("fk5 J1975"). Positions are converted to ICRS.
    sentinels
        Values that mean missing, as {"teff": [-9999]}; "*" stands for every column.
    valid
        Smallest and largest good value, as {"a_k": [0, null]}; others become null.
    unplaced
        Whether rows without a position are refused, or dropped.
    survey, title
        For the catalog.
    citation
        For the catalog: bibcodes, arXiv ids or DOIs.

    Raises
    ------
    MissingColumnError
        If an option names a column that the file does not have.
    DataRefusedError
        If the positions are in a frame that hven does not convert, or are no positions at all.

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"RAJ2000": [10.0], "DEJ2000": [20.0], "FE_H": [-9999.0]})
    >>> batch = table_batch(stars, [], "stars.csv", columns={"feh": "FE_H"}, sentinels={"feh": [-9999]})
    >>> batch.position, batch.parts[""]["feh"].to_list()
    (('RAJ2000', 'DEJ2000'), [None])
    """
    if not data.width:
        raise UnreadableFileError("the file has no columns", where=where, hint="Leave it out.")
    known = {column.name: column for column in told}
    renamed = _renamed(data, columns or {}, where)
    data = data.rename(renamed)
    given = {_known(data, name, "units", where): unit for name, unit in (units or {}).items()}
    described = [
        Column(name, "", ("object",), given.get(name, column.unit), column.description, column.ucd)
        for name, column in ((renamed.get(n, n), c) for n, c in known.items())
    ]
    described += [
        Column(name, "", unit=unit) for name, unit in given.items() if name not in {c.name for c in described}
    ]
    data = _without_sentinels(data, sentinels or {}, valid or {}, where)
    data, noted, rounded = exact_ids(data)
    notes = [*notes, *noted]
    if not isinstance(file_frame, str):
        file_frame = {renamed.get(name, name): said for name, said in file_frame.items()}
    if position is None:
        data, described, noted = with_joined_parts(data, described)
        notes += noted
    pair = _pair(data, position, {c.name: c for c in described}, file_frame, where)
    placed: tuple[str, str] | None = None
    if pair is None and position is None:
        notes += unknown_positions(data.columns)
    if pair is not None:
        data, described, placed, noted = in_icrs(data, described, pair, frame, where, refuse=unplaced == "refuse")
        notes += noted
        if unplaced == "drop":
            whole = data.height
            data = data.drop_nulls(placed).drop_nans([n for n in placed if data[n].dtype.is_float()])
            if data.height < whole:
                text = f"{whole - data.height:,} of {whole:,} rows have no position: left out (unplaced=drop)"
                notes.append(Note(text, column="ra"))
    return Batch(
        {"": data},
        tuple(described),
        _identity(data, identity, rounded, where),
        survey=survey,
        title=title,
        citation=tuple(citation or ()),
        position=placed,
        notes=tuple(notes),
    )


def _renamed(data: "pl.DataFrame", columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Return the new names by old name that the option 'columns' gives."""
    old = {name: _known(data, source, "columns", where) for name, source in columns.items()}
    clash = [
        name for name, source in old.items() if name in data.columns and name != source and name not in old.values()
    ]
    if clash:
        raise ParameterError(
            f"option 'columns' calls {old[clash[0]]!r} {clash[0]!r}, and the file has a column {clash[0]!r} already",
            where=where,
            hint="Choose another name, or give that column another name too.",
        )
    return {source: name for name, source in old.items()}


def _known(data: "pl.DataFrame", name: str, option: str, where: str) -> str:
    if name in data.columns:
        return name
    alike = [column for column in data.columns if _plain(column) == _plain(name)]
    if len(alike) == 1:  # 'feh' is '[Fe/H]' here: reports call columns by the names that the dataset has
        return alike[0]
    columns = ", ".join(data.columns)
    raise MissingColumnError(
        f"option {option!r} names column {name!r}, which the file does not have",
        where=where,
        hint=did_you_mean(
            name, data.columns, f"Its columns are: {columns if len(columns) < 1000 else columns[:1000]}."
        ),
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _without_sentinels(
    frame: "pl.DataFrame",
    sentinels: Mapping[str, Sequence[float]],
    valid: Mapping[str, Sequence[float | None]],
    where: str,
) -> "pl.DataFrame":
    import polars as pl

    for name, values in sentinels.items():
        names = [_known(frame, name, "sentinels", where)] if name != _EVERY else frame.columns
        for column in names:
            series = frame[column]
            if series.dtype == pl.String:
                # The number, however the text writes it: -9999, -9999.0.
                written = series.str.strip_chars().cast(pl.Float64, strict=False)
                is_missing = written.is_in(pl.Series(values, dtype=pl.Float64).implode()).fill_null(value=False)
                frame = frame.with_columns(series.set(is_missing, None))
            if series.dtype.is_numeric():
                # In the column's own precision: -9999.99 in float32 is not -9999.99 in float64.
                whole = [value for value in values if series.dtype.is_float() or float(value).is_integer()]
                missing = pl.Series(whole, dtype=pl.Float64).cast(series.dtype, strict=False).drop_nulls()
                frame = frame.with_columns(pl.when(~pl.col(column).is_in(missing.implode())).then(pl.col(column)))
    for name, limits in valid.items():
        if len(limits) != 2:
            raise ParameterError(
                f"option 'valid' gives {list(limits)} for column {name!r}",
                where=where,
                expected="the smallest and the largest good value, either may be null",
                hint="Correct the option.",
            )
        column, (low, high) = _known(frame, name, "valid", where), limits
        if not frame[column].dtype.is_numeric():
            raise ParameterError(
                f"option 'valid' has limits for column {name!r}, which is {frame[column].dtype}",
                where=where,
                expected="a column of numbers",
                hint="Leave it out, or say with the option 'sentinels' which texts of numbers are missing.",
            )
        good = pl.lit(value=True)
        good = good if low is None else good & (pl.col(column) >= low)
        good = good if high is None else good & (pl.col(column) <= high)
        frame = frame.with_columns(pl.when(good).then(pl.col(column)))
    return frame


def _pair(
    data: "pl.DataFrame",
    position: Sequence[str] | None,
    columns: Mapping[str, Column],
    file_frame: str | Mapping[str, str],
    where: str,
) -> Pair | None:
    if position is None:
        return find_pair(data, columns, file_frame)
    if not position:
        return None
    if len(position) != 2:
        raise ParameterError(
            f"option 'position' has {len(position)} columns",
            where=where,
            expected="two, right ascension and declination, or none",
            hint="Correct the option.",
        )
    return pair_of([_known(data, name, "position", where) for name in position], columns, file_frame)


def _identity(data: "pl.DataFrame", identity: Sequence[str] | None, rounded: set[str], where: str) -> tuple[str, ...]:
    if identity is not None:
        return tuple(_known(data, name, "identity", where) for name in identity)
    return guessed_identity(data, rounded)

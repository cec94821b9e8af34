"""What all readers of tables share: which columns are meant, their units, what counts as missing, where rows are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from hven import Batch, Column
from hven.errors import MissingColumnError, ParameterError, UnreadableFileError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

POSITIONS = (
    ("ra", "dec"),
    ("raj2000", "dej2000"),
    ("_raj2000", "_dej2000"),
    ("raj2000", "decj2000"),
    ("ra_j2000", "dec_j2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("_ra.icrs", "_de.icrs"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("ra_deg", "dec_deg"),
    ("_ra", "_de"),
    ("alpha_j2000", "delta_j2000"),
    ("target_ra", "target_dec"),
    ("ramean", "decmean"),
    ("raj2000_deg", "dej2000_deg"),
)
"""Names under which surveys publish ICRS (or J2000) positions, lower case, in the order of preference."""

IDENTITIES = (
    "source_id",
    "dr3_source_id",
    "sobject_id",
    "apogee_id",
    "targetid",
    "specobjid",
    "obsid",
    "objid",
    "source",
    "gaiaedr3",
    "star_id",
    "id",
)
"""Names under which surveys publish what tells their objects apart, lower case, in the order of preference."""

_EVERY = "*"


def table_batch(
    frame: "pl.DataFrame",
    told: Iterable[Column],
    where: str,
    *,
    columns: dict[str, str] | None = None,
    units: dict[str, str] | None = None,
    position: list[str] | None = None,
    identity: list[str] | None = None,
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
    frame
        The rows, under the names of the file.
    told
        What the file says of its columns.
    where
        The file, for errors.
    columns
        New names, as {"feh": "FE_H"}.
    units
        Units by new name, where the file tells none or a wrong one.
    position
        Columns of right ascension and declination, by new name, [] for none; guessed when not given.
    identity
        Columns that tell objects apart, by new name; guessed when not given.
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

    Examples
    --------
    >>> import polars as pl
    >>> stars = pl.DataFrame({"RAJ2000": [10.0], "DEJ2000": [20.0], "FE_H": [-9999.0]})
    >>> batch = table_batch(stars, [], "stars.csv", columns={"feh": "FE_H"}, sentinels={"feh": [-9999]})
    >>> batch.position, batch.parts[""]["feh"].to_list()
    (('RAJ2000', 'DEJ2000'), [None])
    """
    import polars as pl

    if not frame.width:
        raise UnreadableFileError("the file has no columns", where=where, hint="Leave it out.")
    known = {column.name: column for column in told}
    old = {name: _known(frame, source, "columns", where) for name, source in (columns or {}).items()}
    clash = [
        name for name, source in old.items() if name in frame.columns and name != source and name not in old.values()
    ]
    if clash:
        raise ParameterError(
            f"option 'columns' calls {old[clash[0]]!r} {clash[0]!r}, and the file has a column {clash[0]!r} already",
            where=where,
            hint="Choose another name, or give that column another name too.",
        )
    frame = frame.rename({source: name for name, source in old.items()})
    renamed = {source: name for name, source in old.items()}
    given = {_known(frame, name, "units", where): unit for name, unit in (units or {}).items()}
    described = [
        Column(name, "", ("object",), given.get(name, column.unit), column.description, column.ucd)
        for name, column in ((renamed.get(n, n), c) for n, c in known.items())
    ]
    described += [
        Column(name, "", unit=unit) for name, unit in given.items() if name not in {c.name for c in described}
    ]
    frame = _without_sentinels(frame, sentinels or {}, valid or {}, where)
    placed = _position(frame, position, where)
    if placed is not None:
        texts = [name for name in placed if frame[name].dtype == pl.String]
        frame = _in_degrees(frame, placed, {c.name: c.unit for c in described})
        described = [replace(c, unit="deg") if c.name in texts else c for c in described]
        if unplaced == "drop":
            frame = frame.drop_nulls(placed).drop_nans([n for n in placed if frame[n].dtype.is_float()])
    return Batch(
        {"": frame},
        tuple(described),
        _identity(frame, identity, where),
        survey=survey,
        title=title,
        citation=tuple(citation or ()),
        position=placed,
    )


def _known(frame: "pl.DataFrame", name: str, option: str, where: str) -> str:
    if name in frame.columns:
        return name
    columns = ", ".join(frame.columns)
    raise MissingColumnError(
        f"option {option!r} names column {name!r}, which the file does not have",
        where=where,
        hint=did_you_mean(
            name, frame.columns, f"Its columns are: {columns if len(columns) < 1000 else columns[:1000]}."
        ),
    )


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
            if series.dtype.is_numeric():
                # In the column's own precision: -9999.99 in float32 is not -9999.99 in float64.
                missing = pl.Series(values, dtype=pl.Float64).cast(series.dtype, strict=False).drop_nulls()
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
        good = pl.lit(value=True)
        good = good if low is None else good & (pl.col(column) >= low)
        good = good if high is None else good & (pl.col(column) <= high)
        frame = frame.with_columns(pl.when(good).then(pl.col(column)))
    return frame


def _position(frame: "pl.DataFrame", position: Sequence[str] | None, where: str) -> tuple[str, str] | None:
    if position is not None:
        if not position:
            return None
        if len(position) != 2:
            raise ParameterError(
                f"option 'position' has {len(position)} columns",
                where=where,
                expected="two, right ascension and declination, or none",
                hint="Correct the option.",
            )
        ra, dec = (_known(frame, name, "position", where) for name in position)
        return ra, dec
    lower = {name.lower(): name for name in reversed(frame.columns)}
    return next(((lower[ra], lower[dec]) for ra, dec in POSITIONS if ra in lower and dec in lower), None)


def _identity(frame: "pl.DataFrame", identity: Sequence[str] | None, where: str) -> tuple[str, ...]:
    if identity is not None:
        return tuple(_known(frame, name, "identity", where) for name in identity)
    lower = {name.lower(): name for name in reversed(frame.columns)}
    return next(((lower[name],) for name in IDENTITIES if name in lower), ())


def _in_degrees(frame: "pl.DataFrame", position: tuple[str, str], units: Mapping[str, str]) -> "pl.DataFrame":
    """Return the frame with positions that were written as 12:34:56.7 +01:02:03 (hours, unless a unit says degrees)."""
    import polars as pl

    sexagesimal = r"^\s*([+-]?)(\d+)[:\sh d°]+(\d+)[:\sm ']+(\d+(?:\.\d*)?)"
    for name, turns in zip(position, (15.0, 1.0), strict=True):
        if frame[name].dtype != pl.String:
            continue
        sign, whole, minutes, seconds = (pl.col(name).str.extract(sexagesimal, group) for group in range(1, 5))
        size = whole.cast(pl.Float64) + minutes.cast(pl.Float64) / 60 + seconds.cast(pl.Float64) / 3600
        factor = 1.0 if units.get(name, "").startswith("deg") else turns
        signed = pl.when(sign == "-").then(-size).otherwise(size) * factor
        frame = frame.with_columns(pl.coalesce(signed, pl.col(name).cast(pl.Float64, strict=False)))
    return frame

"""A request for a cross-match, checked: two sides, a radius, an epoch, and what is to be returned."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hven.compute.crossmatching.sources import Side, result_columns
from hven.errors import MissingColumnError, ParameterError
from hven.schema import conversion_factor

if TYPE_CHECKING:
    import polars as pl
    from astropy.units import Quantity

Match = Literal["nearest", "all"]
Join = Literal["inner", "left", "anti"]
Radius = "str | float | Quantity"

LARGEST = 36_000.0
"""The largest radius [arcsec]: ten degrees. Who looks further does not match objects."""

SEPARATION, COUNT = "separation", "n_within"
_ANGLE = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+|nan|inf)(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*", re.IGNORECASE)
_MOTION = ("pmra", "pmdec")
_YEARS = (-10_000.0, 10_000.0)


@dataclass(frozen=True)
class Request:
    """What is matched with what, and how. Travels to workers.

    Attributes
    ----------
    left, right
        The two sides.
    radius
        Arcseconds, or the column of the left side that has them.
    factor
        From the unit of that column to arcseconds.
    widest
        No radius is larger [arcsec].
    match, how, count
        Nearest or all; which join; whether neighbours are counted.
    epoch
        Julian year to which both sides are brought, or None.
    names
        Right column -> its name in the result.
    drift
        How far a right position moves at most until that epoch [arcsec].
    """

    left: Side
    right: Side
    radius: float | str
    factor: float
    widest: float
    match: Match
    how: Join
    count: bool
    epoch: float | None
    names: Mapping[str, str] = field(default_factory=dict)
    drift: float = 0.0

    @property
    def schema(self) -> "pl.Schema":
        """The columns of the result, with their types."""
        import polars as pl

        left, right = self.left.rows.schema(), self.right.rows.schema()
        columns: dict[str, Any] = {name: left[name] for name in self.left.columns}
        if self.how != "anti":
            columns |= {name: right[column] for column, name in self.names.items()}
            columns[SEPARATION] = pl.Float64
            if self.count:
                columns[COUNT] = pl.Int64
        return pl.Schema(columns)

    @property
    def pad(self) -> float:
        """How far around the left positions, brought to the epoch, right ones can matter [deg]."""
        return (self.widest + self.drift) / 3600.0

    def to_json(self) -> dict[str, Any]:
        """Return the request as plain values, for provenance."""
        return {
            "left": dict(self.left.told),
            "right": dict(self.right.told),
            "radius": self.radius if isinstance(self.radius, str) else f"{self.radius!r} arcsec",
            "match": self.match,
            "join": self.how,
            "epoch": self.epoch,
        }


def make_request(
    left: Side,
    right: Side,
    radius: "str | float | Quantity",
    match: Match,
    how: Join,
    epoch: float | None,
    suffix: str,
    count: bool,
) -> Request:
    """Return the request that these arguments make.

    Raises
    ------
    ParameterError
        For a radius that is none, an unknown `match` or `how`, or an epoch that is none.
    MissingColumnError
        If the epoch or the proper motions of a side are missing where they are needed.
    """
    _check_choice("match", match, ("nearest", "all"))
    _check_choice("how", how, ("inner", "left", "anti"))
    arcsec = parse_radius(radius)
    factor, widest = 1.0, arcsec
    if isinstance(arcsec, str):
        factor = radius_factor(left, arcsec)
        widest = _widest(left, arcsec, factor)
    year = None if epoch is None else _check_year(epoch, "epoch")
    if year is not None:
        for side in (left, right):
            _check_motion(side, year)
    names = {} if how == "anti" else result_columns(left, right, suffix)
    for taken in (SEPARATION, COUNT)[: 1 + count] if how != "anti" else ():
        if taken in (*left.columns, *names.values()):
            raise ParameterError(
                f"a side has a column {taken!r} already",
                where=left.label if taken in left.columns else right.label,
                hint="Leave it out with left_columns or right_columns, or rename it.",
            )
    drift = 0.0 if year is None else _drift(right, year)
    return Request(left, right, arcsec, factor, float(widest), match, how, count, year, names, drift)


def parse_radius(radius: "str | float | Quantity") -> float | str:
    """Return a radius in arcseconds, or the name of the column that has it.

    Parameters
    ----------
    radius
        Arcseconds, an angle as text (``"1.5 arcsec"``, ``"2 deg"``) or of astropy, or the name of a column.

    Raises
    ------
    ParameterError
        If it is no angle, or not between 0 (excluded) and ten degrees.
    UnitError
        If its unit is not that of an angle.

    Examples
    --------
    >>> parse_radius("0.5 arcmin"), parse_radius(2), parse_radius("radius_err")
    (30.0, 2.0, 'radius_err')
    """
    if isinstance(radius, str):
        match = _ANGLE.fullmatch(radius)
        if match is None:
            return radius
        value, unit = float(match[1]), match[2] or "arcsec"
    elif hasattr(radius, "unit") and hasattr(radius, "value"):
        value, unit = _number(radius.value, radius), str(radius.unit)
    else:
        value, unit = _number(radius, radius), "arcsec"
    arcsec = value * conversion_factor(unit, "arcsec")
    if not (math.isfinite(arcsec) and 0.0 < arcsec <= LARGEST):
        raise ParameterError(
            f"radius {radius!r} is no radius to match within",
            expected=f"more than 0 and at most {LARGEST / 3600:g} degrees",
            hint="Write it as '1 arcsec'; a plain number is in arcseconds.",
        )
    return arcsec


def radius_factor(left: Side, column: str) -> float:
    """Return the factor to arcseconds of the column with each object's radius.

    Raises
    ------
    ParameterError
        If it is no number.
    UnitError
        If its unit is not that of an angle.
    """
    dtype = left.rows.schema()[column]
    if not dtype.is_numeric():
        raise ParameterError(
            f"column {column!r} has radii of type {dtype}", where=left.label, expected="numbers", hint="Choose another."
        )
    unit = left.schema[column].unit if column in left.schema else ""
    return conversion_factor(unit, "arcsec") if unit else 1.0


def _widest(left: Side, column: str, factor: float) -> float:
    """Return the largest radius of a column; all have to be radii, before anything is matched."""
    import polars as pl

    told = pl.col(column).cast(pl.Float64)
    bad = told.is_null() | told.is_nan() | (told <= 0) | (told * factor > LARGEST)
    lazy = _scan(left, [column])
    bad_rows, widest = lazy.select(bad.sum(), told.max().alias("widest")).collect().row(0)
    if bad_rows:
        raise ParameterError(
            f"column {column!r} has {bad_rows:,} rows without a radius: null, NaN, not above 0, or too large",
            where=left.label,
            expected=f"more than 0 and at most {LARGEST / 3600:g} degrees in every row",
            hint="Leave those rows out with where, or fill them.",
        )
    return 0.0 if widest is None else float(widest) * factor


def _drift(right: Side, year: float) -> float:
    """Return how far a position of the right side moves at most until `year` [arcsec]."""
    import polars as pl

    if "pmra" not in right.roles or right.epoch == year:
        return 0.0
    pmra, pmdec = (
        pl.col(right.roles[role]).cast(pl.Float64).fill_nan(None).fill_null(0.0) for role in ("pmra", "pmdec")
    )
    since = pl.col(right.epoch).cast(pl.Float64) if isinstance(right.epoch, str) else pl.lit(float(right.epoch or 0.0))
    moved = (pmra**2 + pmdec**2).sqrt() * (pl.lit(year) - since).abs() / 1000.0
    epoch = [right.epoch] if isinstance(right.epoch, str) else []
    lazy = _scan(right, [right.roles["pmra"], right.roles["pmdec"], *epoch])
    furthest = lazy.select(moved.fill_nan(None).max()).collect().item()
    return 0.0 if furthest is None else float(np.nextafter(furthest * (1 + 1e-9), np.inf))


def _scan(side: Side, columns: list[str]) -> "pl.LazyFrame":
    lazy = side.rows.scan()
    return (lazy if side.where is None else lazy.filter(side.where)).select(list(dict.fromkeys(columns)))


def _check_motion(side: Side, year: float) -> None:
    if side.epoch is None:
        raise MissingColumnError(
            f"positions are to be brought to {year:g}, and nobody says of which epoch they are",
            where=side.label,
            hint=f"Give {side.label.split(',')[0]}_epoch: a year such as 2016.0, or the column that has it. "
            "Or keep it in the dataset's attrs as 'epoch'.",
        )
    if not isinstance(side.epoch, str):
        _check_year(side.epoch, side.label)
        if float(side.epoch) == year:
            return
    missing = [role for role in _MOTION if role not in side.roles]
    if missing:
        raise MissingColumnError(
            f"positions are to be brought to {year:g}, and there are no proper motions: no column {missing[0]!r}",
            where=side.label,
            expected="pmra (times cos(dec)) and pmdec in mas/yr",
            hint="Say which columns they are with left_names or right_names, or match at the epoch of this side.",
        )


def _check_year(year: Any, what: str) -> float:
    try:
        value = float(year)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and _YEARS[0] <= value <= _YEARS[1]):
        raise ParameterError(
            f"epoch {year!r} is no Julian year", where=what, expected="a year such as 2016.0", hint="Correct it."
        )
    return value


def _check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ParameterError(f"{name} is {value!r}", expected=" or ".join(map(repr, known)), hint="Choose one.")


def _number(value: Any, told: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"radius {told!r} is no radius to match within",
            expected="an angle such as '1 arcsec', a number of arcseconds, or a column",
            hint="For a radius of each object, name the column of the left side.",
        ) from error

"""A selection: which objects of which datasets a run takes in, as people say it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hven.compute.derived import named_with_unit
from hven.errors import NameRefusedError
from hven.lake import where_sql, where_text
from hven.schema import check_name
from hven.sky import parse_region

if TYPE_CHECKING:
    import polars as pl

    from hven.sky import Region

_REFERENCE = re.compile(r"(?:(?P<url>[^#]+)#)?(?P<name>[^#@/:\\]+)(?:@(?P<version>[A-Za-z0-9_.\-]+))?")


@dataclass(frozen=True)
class Reference:
    """One dataset of a selection: its name, and the version and lake when they are not the newest and the run's own.

    Attributes
    ----------
    name
        The dataset.
    version
        A catalog number or a release; empty for the newest.
    url
        Of another lake; empty for the run's own.
    """

    name: str
    version: str = ""
    url: str = ""

    def __str__(self) -> str:
        return f"{self.url}#{self.name}".removeprefix("#") + f"@{self.version}".removesuffix("@")


@dataclass(frozen=True)
class Selection:
    """What one input of a run takes in. Made by `select`.

    Attributes
    ----------
    datasets
        The dataset whose objects are taken, and those that are joined to it by ``object_id``.
    where
        A condition on the columns of all of them, or None: SQL text, or a Polars expression that has none.
    region
        Part of the sky, or None.
    columns
        Name in the analysis -> column of the datasets, where the two differ.
    derived
        Name of a further column, with or without its unit in brackets -> what it is computed from when it is read.
    """

    datasets: tuple[Reference, ...]
    where: "str | pl.Expr | None" = None
    region: "Region | None" = None
    columns: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The datasets as `select` takes them."""
        return "+".join(map(str, self.datasets))

    def to_json(self) -> dict[str, Any]:
        """Return the selection as plain values, for records."""
        return {
            "datasets": self.text,
            "where": where_text(self.where),
            "region": self.region.to_text() if self.region is not None else "",
            "columns": dict(self.columns),
        } | ({"with": dict(self.derived)} if self.derived else {})


def select(
    datasets: str,
    where: "str | pl.Expr | None" = None,
    region: "Region | str | None" = None,
    columns: Mapping[str, str] | None = None,
    derived: Mapping[str, str] | None = None,
) -> Selection:
    """Return a selection: a dataset, further ones joined to it, and which of its objects are meant.

    Parameters
    ----------
    datasets
        ``"apogee"`` (newest), ``"apogee@3"`` (as in catalog 3), ``"apogee@dr1"`` (as in a release),
        ``"s3://surveys/lake#apogee@dr1"`` (of another lake, read only). ``"apogee+distances"`` joins: the objects
        of the first that every other one has, by ``object_id``. A column that several have is the first one's.
    where
        SQL text such as ``"logg > 2.3"``, or a Polars expression, over the columns of all joined datasets. An
        expression is kept as the SQL text that means the same, where there is one (comparisons, ``&``, ``|``, ``~``,
        ``is_null``, ``is_between``, sums); others are kept as they are, and a recipe cannot be followed with them.
    region
        Part of the sky, as `hven.sky` makes it or as text (``"cone(190, 5, 1)"``).
    columns
        Name in the analysis -> column of the datasets, where the two differ: ``{"feh": "m_h"}``.
    derived
        Further columns, computed row by row from those of the datasets when they are read, as SQL text:
        ``{"abs_g [mag]": "phot_g_mean_mag + 5*log10(parallax) - 10"}``. The unit in brackets may be left out. `where`
        may use them.

    Raises
    ------
    NameRefusedError
        If the text does not name datasets.
    RegionError
        If the region's text is malformed.
    WhereError, UnitError
        If a derived column has no name, or a unit that is not known.

    Examples
    --------
    >>> select("apogee@dr1+distances", where="logg > 2.3", columns={"feh": "m_h"}).to_json()
    {'datasets': 'apogee@dr1+distances', 'where': 'logg > 2.3', 'region': '', 'columns': {'feh': 'm_h'}}
    """
    asked = parse_region(region) if isinstance(region, str) else region
    for name in derived or ():
        named_with_unit(name, f"dataset {datasets!r}")
    return Selection(_references(datasets), _as_text(where), asked, dict(columns or {}), dict(derived or {}))


def _as_text(where: "str | pl.Expr | None") -> "str | pl.Expr | None":
    """Return a condition as SQL text, where it has one."""
    import polars as pl

    if isinstance(where, pl.Expr):
        return where_sql(where) or where
    return None if where == "" else where


def _references(text: str) -> tuple[Reference, ...]:
    """Return the datasets that a text names. A ``+`` inside the address of a lake does not part them."""
    found: list[Reference] = []
    piece: str | None = None
    for part in str(text).split("+"):
        piece = part if piece is None else f"{piece}+{part}"
        match = _REFERENCE.fullmatch(piece.strip())
        if match is not None:
            found.append(Reference(check_name(match["name"].strip()), match["version"] or "", match["url"] or ""))
            piece = None
    if piece is not None:
        raise NameRefusedError(
            f"{text!r} does not name a dataset",
            expected="NAME, NAME@VERSION, URL#NAME@VERSION, or several joined by '+'",
            hint="Correct the text.",
        )
    return tuple(found)

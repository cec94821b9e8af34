"""A catalog as a Polars frame, to be asked anything."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hven.catalog.conditions import makers
from hven.catalog.query import Searchable

if TYPE_CHECKING:
    import polars as pl


def frame(items: Iterable[Searchable]) -> "pl.DataFrame":
    """Return a row for each item: what it is, how much there is, and what it spans.

    ``wavelength_min`` and ``_max`` are in Angstrom, ``sky_fraction`` is the part of the whole sky from 0 to 1,
    ``created`` and ``changed`` are catalog numbers; what is not known is null.
    """
    import polars as pl

    numbers = {
        **dict.fromkeys(("rows", "bytes", "segments"), pl.Int64),
        **dict.fromkeys(("wavelength_min", "wavelength_max", "resolution_min", "resolution_max"), pl.Float64),
        **dict.fromkeys(("created", "changed"), pl.Int64),
        "sky_fraction": pl.Float64,
    }
    texts = dict.fromkeys(("name", "kind", "survey", "title", "description", "coverage"), pl.String)
    lists = dict.fromkeys(("columns", "citation", "produced_by"), pl.List(pl.String))
    schema: Any = texts | numbers | lists
    return pl.DataFrame([_row(item) for item in items], schema=schema)


def _row(item: Searchable) -> dict[str, Any]:
    from hven.sky import sky_fraction

    counts = getattr(item, "counts", None)
    wavelength, resolution = item.wavelength or (None, None), item.resolution or (None, None)
    return {
        **{key: getattr(item, key) for key in ("name", "kind", "survey", "title", "description", "coverage")},
        **{key: getattr(counts, key, None) for key in ("rows", "bytes", "segments")},
        **{key: getattr(item, key, None) for key in ("created", "changed")},
        "wavelength_min": wavelength[0],
        "wavelength_max": wavelength[1],
        "resolution_min": resolution[0],
        "resolution_max": resolution[1],
        "sky_fraction": sky_fraction(item.coverage) if item.coverage else None,
        "columns": list(item.columns),
        "citation": list(item.citation),
        "produced_by": makers(item),
    }

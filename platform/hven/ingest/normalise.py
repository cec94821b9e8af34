"""From what a reader hands on to rows in hven's own words: names, units, types that last, places on the sky."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hven.errors import DataRefusedError, UnitError
from hven.ingest.column_names import new_names, rivals
from hven.ingest.file_units import canonical_factor, canonical_unit, standard_unit
from hven.ingest.storable import storable
from hven.ingest.vectors import PART as VECTORS
from hven.ingest.vectors import split_vectors
from hven.schema import Column, Note, dataset_to_frame, describe, is_of_several_units, is_same_quantity
from hven.sky import healpix_29

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

    from hven.plugins import Batch

MADE = ("object_id", "_healpix_29")
_RANGES = {"ra": (0, 360), "dec": (-90, 90)}


@dataclass(frozen=True)
class Rows:
    """Rows of survey files in hven's own words; not yet numbered or ordered.

    Attributes
    ----------
    objects
        The table of objects; with ``_healpix_29`` when they have places.
    parts
        What goes with each row, by part name: Datasets over ``object``, or frames. The part ``""`` holds arrays of the
        first part itself.
    columns
        Units, descriptions and UCDs by new name.
    identity
        The columns that ids are made from.
    notes
        What was renamed, converted or left out.
    """

    objects: "pl.DataFrame"
    parts: Mapping[str, Any]
    columns: Mapping[str, Column]
    identity: tuple[str, ...]
    notes: tuple[Note, ...] = ()

    @property
    def nbytes(self) -> int:
        """Their size in memory, about."""
        sizes = [p.nbytes if hasattr(p, "nbytes") else p.estimated_size() for p in self.parts.values()]
        return int(self.objects.estimated_size() + sum(sizes))


def normalise(batch: "Batch", first: int = 0) -> Rows:
    """Return a batch of a reader as rows in hven's own words; columns of vectors become the part ``vectors``.

    Parameters
    ----------
    batch
        Rows of a file.
    first
        Number of its first row in the file.

    Raises
    ------
    DataRefusedError
        For rows without a place on the sky in a batch that says where its places are, for an ``object_id`` that does
        not name each row once.
    UnitError
        If a column with a canonical name has a unit of another quantity, or one that nobody knows.

    Examples
    --------
    >>> import polars as pl
    >>> from hven.plugins import Batch
    >>> stars = pl.DataFrame({"id": [7], "RAJ2000": [10.0], "DEJ2000": [20.0], "Distance": [1500.0]})
    >>> told = (Column("Distance", "float64", unit="pc"),)
    >>> batch = Batch({"": stars}, told, identity=("id",), position=("RAJ2000", "DEJ2000"))
    >>> rows = normalise(batch)
    >>> rows.objects.columns
    ['id', 'ra', 'dec', 'distance', '_healpix_29']
    >>> rows.objects["distance"].item(), rows.columns["distance"].unit
    (1.5, 'kpc')
    """
    table, *_ = batch.parts.values()
    others: list[tuple[str, Any]] = list(batch.parts.items())[1:]
    told = {column.name: column for column in batch.columns}
    frame, arrays = _split(table)
    frame, vectors, said = split_vectors(frame, told, first)
    units = {column.name: column.unit for column in batch.columns}
    names = new_names(frame.columns, batch.position, units)
    doubts: list[Note] = []
    if batch.position is None:
        names, doubts = _without_false_positions(frame, names, units)
    objects, columns, notes = _in_our_words(frame, names, told)
    notes += [*rivals(frame.columns, units), *doubts, *said]
    identity = tuple(names[name] for name in batch.identity if name in names) or tuple(
        c for c in objects.columns if c not in MADE
    )
    _check_ids(objects)
    if batch.position is not None:
        objects = _placed(objects)
    elif "_healpix_29" in objects.columns and not _is_healpix(objects["_healpix_29"]):
        objects = objects.drop("_healpix_29")
        notes.append(
            Note("column '_healpix_29' is left out: it is not a HEALPix index of order 29", column="_healpix_29")
        )
    parts: dict[str, Any] = {} if arrays is None else {"": _described(arrays, told)}
    if vectors is not None:
        parts[VECTORS] = vectors
    for part, data in others:
        if hasattr(data, "data_vars"):
            parts[part] = _described(data, told)
        else:
            more, also, noted = _in_our_words(data, new_names(data.columns, None, units), told)
            parts[part], columns, notes = more, {**also, **columns}, [*notes, *noted]
    return Rows(objects, parts, columns, tuple(c for c in identity if c in objects.columns), tuple(notes))


def _split(part: "pl.DataFrame | xr.Dataset") -> "tuple[pl.DataFrame, xr.Dataset | None]":
    """Return the 1-D variables of a part as a frame, and the others as arrays."""
    import xarray as xr

    if not isinstance(part, xr.Dataset):
        return part, None
    flat = [str(name) for name, variable in part.variables.items() if variable.dims == ("object",)]
    frame = dataset_to_frame(part.reset_coords()[flat].compute())
    arrays = part.drop_vars(flat)
    return frame, arrays if any("object" in v.dims for v in arrays.variables.values()) else None


def _in_our_words(
    frame: "pl.DataFrame", names: Mapping[str, str], told: Mapping[str, Column]
) -> "tuple[pl.DataFrame, dict[str, Column], list[Note]]":
    import polars as pl

    kept: list[pl.Series] = []
    columns: dict[str, Column] = {}
    notes: list[Note] = []
    for series in frame.iter_columns():
        name, column = names[series.name], told.get(series.name, Column(series.name, ""))
        if name != series.name:
            notes.append(Note(f"column {series.name!r} is kept as {name!r}", column=name))
        values, note, needs_attention = storable(series)
        if note:
            notes.append(Note(f"column {series.name!r}: {note}", needs_attention, name))
        if values is None:
            continue
        unit, factor = _unit(name, column.unit, notes) if values.dtype.is_numeric() else ("", 1.0)
        assumed = not column.unit.strip() and values.dtype.is_numeric() and bool(unit)
        if factor != 1.0:
            values = values * factor if values.dtype.is_float() else values.cast(pl.Float64) * factor
            notes.append(Note(f"column {name!r} was converted from {column.unit} to {unit}", column=name))
        description = (
            column.description or _known_text(name) or ("" if name == series.name else f"{series.name} in the file")
        )
        known = describe(replace(column, name=name, dtype=_kind(values), unit=unit, description=description))
        columns[name] = replace(known, assumed="unit" if assumed else "")
        if assumed and is_of_several_units(name):
            notes.append(Note(f"column {name!r} has no unit in the file: its values are taken as {unit}", True, name))
        kept.append(values.alias(name))
    return pl.DataFrame(kept), columns, notes


def _without_false_positions(
    frame: "pl.DataFrame", names: Mapping[str, str], units: Mapping[str, str]
) -> tuple[dict[str, str], list[Note]]:
    """Return names under which no column passes for a right ascension or declination that has other values or units."""
    kept, notes = dict(names), []
    for old, new in names.items():
        if new not in _RANGES or not frame[old].dtype.is_numeric():
            continue
        low, high = _RANGES[new]
        unit = standard_unit(units.get(old, ""))
        is_angle = not unit or unit == "h" or is_same_quantity(unit, "deg")
        values = frame[old].drop_nulls()
        if values.dtype.is_float():
            values = values.drop_nans()
        if is_angle and (values.is_empty() or bool(values.is_between(low, high).all())):
            continue
        taken = {name.lower() for name in kept.values()}
        kept[old] = f"{new}_file_2" if f"{new}_file" in taken else f"{new}_file"
        text = f"column {old!r} is no position in degrees: it is kept as {kept[old]!r}"
        notes.append(Note(text, True, kept[old]))
    return kept, notes


def _kind(values: "pl.Series") -> str:
    return "" if values.dtype.is_numeric() else "bool" if str(values.dtype) == "Boolean" else "string"


def _known_text(name: str) -> str:
    return describe(Column(name, "")).description


def _unit(name: str, text: str, notes: list[Note]) -> tuple[str, float]:
    """Return the unit in which a column is kept, and the factor to it."""
    canonical = canonical_unit(name)
    unit = standard_unit(text)
    if unit is None:
        if canonical:
            raise UnitError(
                f"column {name!r} is in {text!r}, which is no unit that astropy knows",
                expected=f"a unit of the same quantity as {canonical!r}",
                hint=f"Find out the unit of the values, and give it as astropy writes it: units={{{name!r}: UNIT}}. "
                f"They are converted to {canonical!r} then.",
            )
        notes.append(Note(f"column {name!r}: the unit {text!r} of the file is not known, and not kept", True, name))
        return "", 1.0
    return (canonical, canonical_factor(name, unit)) if canonical else (unit, 1.0)


def _placed(objects: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    for name in ("ra", "dec"):
        if not objects[name].dtype.is_numeric():
            raise DataRefusedError(
                f"column {name!r} is {objects[name].dtype}, not a number",
                expected="degrees",
                hint="Convert sexagesimal positions to degrees, or read the file without position.",
            )
    # Series, not expressions: a query costs 0.6 ms, which is a tenth of what a small file takes in all.
    ra, dec = (objects[name].cast(pl.Float64) for name in ("ra", "dec"))
    missing = ra.is_null() | dec.is_null()
    if missing.any():
        raise DataRefusedError(
            f"{missing.sum()} of {objects.height} rows have no position, the first is row {missing.arg_true()[0]}",
            expected="a place on the sky for each row, or for none",
            hint="Leave them out (option unplaced=drop of hven's own readers), or read the file without position.",
        )
    if ra.len() and not (ra.min() >= 0 and ra.max() < 360):  # type: ignore[operator]
        # Right ascensions from -180 to 180 degrees are as common as those from 0 to 360.
        turned = pl.when(pl.col("ra").is_between(-180, 0, closed="left")).then(pl.col("ra") + 360)
        ra = ra.to_frame().select(turned.when(pl.col("ra") == 360).then(0.0).otherwise(pl.col("ra"))).to_series()
    if "_healpix_29" in objects.columns:
        objects = objects.drop("_healpix_29")
    return objects.with_columns(ra.alias("ra"), dec, pl.Series("_healpix_29", healpix_29(ra, dec)))


def _is_healpix(cells: "pl.Series") -> bool:
    whole = cells.dtype.is_integer() and not cells.null_count()
    return whole and bool(cells.is_between(0, 12 * 4**29, closed="left").all())


def _check_ids(objects: "pl.DataFrame") -> None:
    if "object_id" not in objects.columns:
        return
    ids = objects["object_id"]
    if not ids.dtype.is_integer() or ids.null_count() or ids.n_unique() < ids.len():
        raise DataRefusedError(
            "the file has an 'object_id' of its own, which does not name each row once by a whole number",
            hint="Read it under another name: columns={'source_id': 'object_id'}.",
        )


def _described(data: "xr.Dataset", told: Mapping[str, Column]) -> "xr.Dataset":
    """Return a Dataset whose variables carry what is known of them, with signed integers."""
    data = data.copy()
    for name, variable in data.variables.items():
        column = told.get(str(name), Column(str(name), ""))
        unit = standard_unit(str(variable.attrs.get("units", column.unit)))
        attrs = describe(replace(column, unit=unit or "")).attrs()
        if variable.dtype.kind == "u":
            data[name] = variable.astype(f"i{min(2 * variable.dtype.itemsize, 8)}")
        data[name].attrs = {**attrs, **{k: v for k, v in variable.attrs.items() if k != "units"}}
    return data

"""What is said of columns, said anew: units, descriptions and UCDs, while the values stay as they are."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hven.errors import DataRefusedError, UnitError
from hven.lake import arrays
from hven.lake.source import schema_key
from hven.schema import Column, Schema, parse_unit

if TYPE_CHECKING:
    from hven.catalog import Entry, Pin
    from hven.lake.source import Source

ATTRIBUTES = frozenset(("units", "description", "ucd", "assumed"))
"""Attributes of an array that tell what a `Column` tells."""


def redescribed(
    source: "Source", entry: "Entry", told: Mapping[str, Mapping[str, str]], transaction: str, *, is_forced: bool
) -> "Entry":
    """Return an entry whose columns have other units, descriptions or UCDs, once all that it needs is written."""
    schema = described(source.schema, told, f"dataset {source.name!r}", is_forced=is_forced)
    source.store.put(schema_key(schema.digest), schema.to_json())
    pin = entry.pin if source.is_table else describe_arrays(source, schema, transaction)
    units = tuple(dict.fromkeys(column.unit for column in schema))
    return replace(entry, pin=pin, schema=schema.digest, units=units)


def described(schema: Schema, told: Mapping[str, Mapping[str, str]], where: str, *, is_forced: bool) -> Schema:
    """Return a schema in which columns have other units, descriptions or UCDs.

    Parameters
    ----------
    schema
        As it is.
    told
        ``unit``, ``description`` or ``ucd`` -> column -> text.
    where
        For errors.
    is_forced
        Whether a unit may take the place of another one.

    Raises
    ------
    MissingColumnError
        If there is no such column.
    UnitError
        If a unit is not known, is one of texts, or would replace another without `is_forced`.
    DataRefusedError
        If a UCD is none.
    """
    columns: dict[str, Column] = {column.name: column for column in schema}
    for key, texts in told.items():
        for name, text in texts.items():
            if name not in columns:
                raise schema.missing(name, where)
            if key == "unit":
                _check_unit(columns[name], text, where, is_forced=is_forced)
            elif key == "ucd":
                _check_ucd(name, text, where)
            # Who says the unit says that it is no longer assumed, also when it is the same.
            fields: dict[str, Any] = {key: text} | ({"assumed": ""} if key == "unit" else {})
            columns[name] = replace(columns[name], **fields)
    return Schema(tuple(columns.values()), schema.attrs)


def _check_unit(column: Column, unit: str, where: str, *, is_forced: bool) -> None:
    place = f"column {column.name!r} of {where}"
    parse_unit(unit)
    if unit and column.dtype in {"string", "bool"}:
        raise UnitError(
            f"a column of {'texts' if column.dtype == 'string' else 'true and false'} has no unit",
            where=place,
            hint="Leave the unit out.",
        )
    is_other = column.unit and parse_unit(column.unit) != parse_unit(unit)
    if is_other and column.assumed != "unit" and not is_forced:
        raise UnitError(
            f"the unit is {column.unit!r} already, and values are not converted to {unit or 'none'!r}",
            where=place,
            expected="a column whose unit nobody gave",
            hint="If the unit in the lake is wrong, say so: force=True, or --force.",
        )


def _check_ucd(name: str, ucd: str, where: str) -> None:
    from astropy.io.votable.ucd import check_ucd

    if ucd and not check_ucd(ucd, check_controlled_vocabulary=True):
        raise DataRefusedError(
            f"{ucd!r} is no UCD",
            where=f"column {name!r} of {where}",
            expected="words of the IVOA list, for example 'phys.abund.Fe' or 'phot.mag;em.opt.V'",
            hint="Correct it, or leave it out.",
        )


def describe_arrays(source: "Source", schema: Schema, transaction: str) -> "Pin":
    """Write what a schema says of variables into the arrays themselves, and return the new pin; no value changes."""
    import zarr

    changed = [column for column in schema if column != source.schema[column.name]]
    if not changed:
        return source.pin
    at = arrays.ArraysAt(source.store, source.pin.path)
    branch = f"txn-{transaction}-{uuid.uuid4().hex[:8]}"
    arrays.begin_branch(at, branch, str(source.pin.version))
    with arrays.writing(at, branch) as session:
        root = zarr.open_group(session.store, mode="a")
        for part in source.parts:
            for column in changed:
                array: Any = root[f"{part.path}/{column.name}"]
                kept = {key: value for key, value in dict(array.attrs).items() if key not in ATTRIBUTES}
                array.attrs.put(kept | column.attrs())
            group: Any = root[part.path]
            own = dict(group.attrs[arrays.OWN])
            for column in changed:
                # What segments are compared by tells units too.
                if column.name in own.get("axes", {}):
                    own["axes"] = own["axes"] | {column.name: own["axes"][column.name] | {"unit": column.unit}}
            group.attrs[arrays.OWN] = own
        return replace(source.pin, version=arrays.commit(at, session, "described"))

"""The shape of an Intake v2 catalog: which keys a file has to have, told before Intake fails without a name."""

from collections.abc import Iterable, Mapping
from typing import Any

from hven.catalog.documents import Document, Path
from hven.errors import CatalogFormatError, did_you_mean

TOP: Mapping[str, type] = {
    "version": int,
    **dict.fromkeys(("metadata", "user_parameters", "aliases", "data", "entries"), dict),
}
DATA: Mapping[str, type] = {"datatype": str, **dict.fromkeys(("kwargs", "metadata", "user_parameters"), dict)}
ENTRY: Mapping[str, type] = {"reader": str, "output_instance": str, **dict(list(DATA.items())[1:])}
_WORDS = {int: "a whole number", dict: "a mapping", str: "a text", list: "a list", float: "a number"}


def check_shape(document: Document) -> None:
    r"""Refuse what plain Intake would not load, or would load and not read.

    Raises
    ------
    CatalogFormatError
        Naming the file, entry, line and key: a key is missing, unknown or of the wrong type, the version is not 2, or
        an alias points nowhere.

    Examples
    --------
    >>> check_shape(Document("version: 2\nmetadata: {}\naliases: {}\ndata: {}\nentries: {}", "stars.yaml"))
    Traceback (most recent call last):
    ...
    hven.errors.CatalogFormatError: the key 'user_parameters' is missing (stars.yaml, line 1). ...
    """
    values = document.values
    if not isinstance(values, dict) or "version" not in values:
        raise CatalogFormatError(
            "this is not an Intake catalog of version 2",
            where=document.name,
            expected=f"the keys {', '.join(TOP)}",
            hint="Check the address; catalogs of Intake 1 (with 'sources') have to be written anew by Intake 2.",
        )
    _check_keys(document, (), values, TOP)
    if values["version"] != 2:
        raise CatalogFormatError(
            f"the catalog has version {values['version']}",
            where=document.where(("version",)),
            expected="version 2",
            hint="Write it anew with Intake 2: Catalog.to_yaml_file.",
        )
    for part, keys in (("data", DATA), ("entries", ENTRY)):
        for name, item in values[part].items():
            check_type(document, (part, name), item, dict)
            _check_keys(document, (part, name), item, keys)
            _check_parameters(document, (part, name, "user_parameters"), item["user_parameters"])
    _check_parameters(document, ("user_parameters",), values["user_parameters"])
    known = {*values["entries"], *values["data"]}
    for alias, name in values["aliases"].items():
        check_type(document, ("aliases", alias), name, str)
        if name not in known:
            raise CatalogFormatError(
                f"the alias {alias!r} points to {name!r}, which is not there",
                where=document.where(("aliases", alias)),
                hint=did_you_mean(str(name), known, "Point it to one of the entries."),
            )


def check_type(document: Document, path: Path, value: Any, kind: type) -> None:
    """Refuse a value of another type than `kind`; texts and mappings may be nothing but themselves."""
    is_number = kind is float and isinstance(value, int | float) and not isinstance(value, bool)
    if is_number or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return
    raise CatalogFormatError(
        f"{path[-1]!r} is {value!r}" if path else "the catalog is empty",
        where=document.where(path),
        expected=_WORDS[kind],
        hint=f"Write {path[-1]} as {_WORDS[kind]}." if path else "Correct the file.",
    )


def check_known(document: Document, path: Path, keys: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse a key that is not among those known."""
    allowed = list(known)
    for key in keys:
        if key not in allowed:
            raise CatalogFormatError(
                f"there is no key {key!r}",
                where=document.where((*path, key)),
                expected=", ".join(allowed) or "no keys",
                hint=did_you_mean(str(key), allowed, "Take it out, or put it under 'metadata'."),
            )


def missing_key(document: Document, path: Path, key: str, keys: Iterable[str], like: str) -> CatalogFormatError:
    """Return (not raise) the error for a key that is missing."""
    return CatalogFormatError(
        f"the key {key!r} is missing",
        where=document.where(path),
        expected=", ".join(keys),
        hint=f"Add '{key}: {like}'.",
    )


def _check_keys(document: Document, path: Path, item: dict[Any, Any], keys: Mapping[str, type]) -> None:
    empty = {int: "2", dict: "{}", str: "..."}
    for key, kind in keys.items():
        if key not in item:
            raise missing_key(document, path, key, keys, empty[kind])
        if not (key == "output_instance" and item[key] is None):
            check_type(document, (*path, key), item[key], kind)
    check_known(document, path, item, keys)


def _check_parameters(document: Document, path: Path, parameters: dict[Any, Any]) -> None:
    for name, parameter in parameters.items():
        if name == "STORAGE_OPTIONS":
            continue  # Intake writes its own there.
        if isinstance(parameter, dict) and "default" not in parameter:
            raise missing_key(document, (*path, name), "default", ("default", "description", "dtype", "cls"), "...")

"""Whether a catalog from elsewhere names only what reads: checked on its values, before anything is imported."""

import re
from collections.abc import Collection, Iterator
from string import Formatter
from typing import Any

from hven.catalog import allowed
from hven.catalog.documents import Document, Path
from hven.errors import UntrustedCatalogError

_OWN = frozenset({"CATALOG_DIR", "CATALOG_PATH", "STORAGE_OPTIONS"})
"""Parameters that Intake fills in itself."""
_REFERENCE = re.compile(r"\{?data\(([^)]+)\)\}?")
_CALL = re.compile(r"\s*\{?\s*[\w.]+\(")
_LONGEST = 80


def check_trusted(document: Document) -> None:
    """Refuse a catalog that names anything but allow-listed readers with plain arguments.

    Parameters
    ----------
    document
        Of the right shape (`check_shape`).

    Raises
    ------
    UntrustedCatalogError
        Naming the file, entry, line and the name that is not on the list (`hven.catalog.allowed`).

    Examples
    --------
    >>> text = '''
    ... version: 2
    ... metadata: {}
    ... user_parameters: {}
    ... aliases: {}
    ... data: {code: {datatype: "os:system", kwargs: {}, metadata: {}, user_parameters: {}}}
    ... entries: {}'''
    >>> check_trusted(Document(text, "stars.yaml"))
    Traceback (most recent call last):
    ...
    hven.errors.UntrustedCatalogError: the datatype 'os:system' is not on the list of what may be opened \
(stars.yaml, data 'code', line 6). ...
    """
    values = document.values
    declared = {*_OWN, *values["user_parameters"]}
    _check_parameters(document, ("user_parameters",), values["user_parameters"])
    for part, key, names in (("data", "datatype", allowed.DATATYPES), ("entries", "reader", allowed.READERS)):
        for name, item in values[part].items():
            path: Path = (part, name)
            _check_name(document, (*path, key), key, item[key], names)
            _check_parameters(document, (*path, "user_parameters"), item["user_parameters"])
            known = declared.union(*(d["user_parameters"] for d in values["data"].values()), item["user_parameters"])
            _check_arguments(document, path, item["kwargs"], names[item[key]], known)
            if part == "entries" and item["output_instance"] is not None:
                _check_name(document, (*path, "output_instance"), "output", item["output_instance"], allowed.OUTPUTS)


def _check_arguments(
    document: Document, path: Path, arguments: dict[Any, Any], names: Collection[str], parameters: Collection[str]
) -> None:
    is_entry = path[0] == "entries"
    for argument, value in arguments.items():
        place = (*path, "kwargs", argument)
        if is_entry and argument in {"args", "data"}:
            _check_reference(document, place, value)
            takes = allowed.TAKES.get(document.values["entries"][path[1]]["reader"], allowed.DATATYPES)
            _check_name(document, place, "data type for this reader", _datatype(document, value), takes)
            continue
        _check_name(document, place, "argument", argument, names)
        if argument in allowed.CHOICES:
            _check_name(document, place, argument, value, allowed.CHOICES[argument])
        if argument == "url":
            _check_url(document, place, value)
        if argument == "storage_options":
            for option, told in value.items() if isinstance(value, dict) else ():
                _check_name(document, (*place, option), "storage option", option, allowed.STORAGE_OPTIONS)
                if option in allowed.CHOICES:
                    _check_name(document, (*place, option), option, told, allowed.CHOICES[option])
        for inner, text in _texts(value, place):
            _check_text(document, inner, text, parameters)


def _check_reference(document: Document, place: Path, value: Any) -> None:
    """Only data of this catalog may be read, and only one: readers of readers call what they are told."""
    given = value if isinstance(value, list) else [value]
    match = _REFERENCE.fullmatch(given[0]) if len(given) == 1 and isinstance(given[0], str) else None
    others = {**document.values["aliases"], **document.values["entries"]}
    if match is None or match[1] not in document.values["data"] or match[1] in others:
        raise _untrusted(document, place, f"the data {_shown(value)} is not one of this catalog's own")


def _datatype(document: Document, reference: Any) -> Any:
    match = _REFERENCE.fullmatch(reference[0] if isinstance(reference, list) else reference)
    return document.values["data"][match[1]]["datatype"] if match else None


def _check_parameters(document: Document, path: Path, parameters: dict[Any, Any]) -> None:
    for name, parameter in parameters.items():
        place = (*path, name)
        if not isinstance(name, str) or not name.isidentifier():
            raise _untrusted(document, place, f"{name!r} is no name for a parameter")
        keys = parameter if isinstance(parameter, dict) else {}
        kind = keys.get("cls", "intake.readers.user_parameters:BaseUserParameter")
        if keys:
            _check_name(document, (*place, "cls"), "class", kind, allowed.PARAMETERS)
            for key in keys:
                _check_name(document, (*place, key), "key", key, allowed.PARAMETERS[kind])
            _check_name(document, (*place, "dtype"), "type", keys.get("dtype", "str"), allowed.PARAMETER_TYPES)
        for inner, text in _texts(parameter, place):
            if inner[-1] != "cls" and inner[-1] != "description":
                _check_text(document, inner, text, ())
                if ":" in text:
                    _check_scheme(document, inner, text)


def _check_url(document: Document, place: Path, value: Any) -> None:
    for inner, text in _texts(value, place):
        rest = text.removeprefix("{CATALOG_DIR}")
        if ":" in rest and "{" in rest.partition(":")[0]:
            raise _untrusted(document, inner, f"the address {_shown(text)} lets a parameter choose how it is opened")
        _check_scheme(document, inner, rest)
    if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise _untrusted(document, place, f"the address is {_shown(value)}")


def _check_scheme(document: Document, place: Path, text: str) -> None:
    scheme, colon, _ = text.partition(":")
    if "::" in text or (colon and scheme.lower() not in allowed.SCHEMES):
        raise _untrusted(document, place, f"the address {_shown(text)} is not of a kind that may be opened")


def _check_text(document: Document, place: Path, text: str, parameters: Collection[str]) -> None:
    """Refuse templates that Intake would answer by importing, unpickling, reading the environment or attributes."""
    if _CALL.match(text):
        raise _untrusted(document, place, f"the template {_shown(text)} calls something")
    for _, field, spec, conversion in _parsed(document, place, text):
        if field is not None and (field not in parameters or spec or conversion):
            raise _untrusted(document, place, f"the template {_shown(text)} is not the name of a declared parameter")


def _parsed(document: Document, place: Path, text: str) -> "list[tuple[str, str | None, str | None, str | None]]":
    try:
        return list(Formatter().parse(text))
    except ValueError as error:
        raise _untrusted(document, place, f"the template {_shown(text)} cannot be understood") from error


def _texts(value: Any, place: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str):
                yield (*place, key), key
            yield from _texts(inner, (*place, key))
    elif isinstance(value, list | tuple | set):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*place, number))


def _check_name(document: Document, place: Path, what: str, name: Any, names: Collection[str]) -> None:
    if not isinstance(name, str) or name not in names:
        raise _untrusted(document, place, f"the {what} {_shown(name)} is not on the list of what may be opened")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _untrusted(document: Document, place: Path, what: str) -> UntrustedCatalogError:
    return UntrustedCatalogError(
        what,
        where=document.where(place),
        expected="readers that only read, of data of this catalog, with plain arguments",
        hint="Nothing was run. If you wrote the catalog yourself, or have read it, open it with trust=True.",
    )

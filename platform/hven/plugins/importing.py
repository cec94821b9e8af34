"""How plugin objects travel to workers: by import path, never by value, so that versions cannot drift."""

from importlib import import_module
from typing import Any


def find_object(module: str, qualname: str) -> Any:
    """Return what stands at an import path; the name of a method or attribute may be dotted.

    Examples
    --------
    >>> find_object("hven.plugins.importing", "find_object") is find_object
    True
    """
    found: Any = import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def is_importable(thing: Any, module: str, qualname: str) -> bool:
    """Return whether another process would find `thing` at this import path: not so in ``__main__`` or a function.

    Examples
    --------
    >>> is_importable(find_object, "hven.plugins.importing", "find_object")
    True
    """
    if module == "__main__" or "<locals>" in qualname:
        return False
    try:
        return find_object(module, qualname) is thing
    except (ImportError, AttributeError):
        return False

"""The fingerprint of a function: a hash of its source, of what it uses of its own module, and of what it closes over.

It tells that a function was changed under the same version. Comments, docstrings and layout do not count; what it
imports from elsewhere does not either. Of a notebook or a session, functions and plain values that it uses count.
"""

import ast
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


_FORM = 2
"""Of the fingerprint: those of another form cannot be compared."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


@lru_cache(maxsize=512)
def source_fingerprint(function: Callable[..., Any], declared: str = "") -> str:
    """Return the fingerprint of a function, and the version of Python whose syntax it was read with; ``""`` if unknown.

    Parameters
    ----------
    function
        A function with a source: of a module, a notebook or a script.
    declared
        What is declared of it and decides its result: the units that it produces.

    Examples
    --------
    >>> source_fingerprint(len)
    ''
    >>> source_fingerprint(source_fingerprint).split("/")[0] == f"{sys.version_info.major}.{sys.version_info.minor}"
    True
    >>> source_fingerprint(source_fingerprint, "dex") == source_fingerprint(source_fingerprint, "K")
    False
    """
    texts = _texts(function, set())
    if not texts:
        return ""
    digest = hashlib.sha256("\n".join([*texts, declared]).encode()).hexdigest()
    return f"{sys.version_info.major}.{sys.version_info.minor}/{_FORM}:{digest[:32]}"


def _texts(function: Callable[..., Any], known: set[int]) -> list[str]:
    """Return what is hashed of a function: its source, the rest in the order of names; nothing without a source.

    `known` are the functions that are at it already: functions may use each other.
    """
    known.add(id(function))
    try:
        own = _without_decorators(_definition(inspect.getsource(function), function.__name__))
        around = _module_level(function)
        used = inspect.getclosurevars(inspect.unwrap(function))
    except (OSError, TypeError, SyntaxError, ValueError, IndexError, StopIteration):
        return []
    texts, seen, waiting = [_text(own)], {function.__name__}, list(_names(own))
    while waiting:
        name = waiting.pop()
        if name in seen or name not in around:
            continue
        seen.add(name)
        texts += [f"{name} {_text(node)}" for node in around[name]]
        waiting += [used for node in around[name] for used in _names(node)]
    values = {**used.nonlocals, **({} if around else used.globals)}
    more = [f"{name} = {_value(value, known)}" for name, value in values.items() if name != function.__name__]
    return [texts[0], *sorted(texts[1:]), *sorted(more)]


def _value(value: Any, known: set[int]) -> str:
    """Return a text that is the same for the same value: whole of plain ones and functions, the class of others."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_value(part, known) for part in value]
        return f"{type(value).__name__}({', '.join(sorted(parts) if isinstance(value, set | frozenset) else parts)})"
    if isinstance(value, dict):
        return f"dict({', '.join(f'{_value(k, known)}: {_value(v, known)}' for k, v in value.items())})"
    if inspect.isfunction(value):
        return "" if id(value) in known else "\n".join(_texts(value, known))
    if type(value).__module__ == "numpy" and hasattr(value, "tobytes") and not getattr(value.dtype, "hasobject", True):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return f"{type(value).__module__}.{type(value).__qualname__}"


def is_other_source(before: str, now: str) -> bool:
    """Return whether two fingerprints are of different sources; those of different Pythons cannot be compared.

    Examples
    --------
    >>> is_other_source("3.11:ab", "3.11:cd"), is_other_source("3.11:ab", "3.12:cd"), is_other_source("", "3.12:cd")
    (True, False, False)
    """
    syntaxes = {one.partition(":")[0] for one in (before, now)}
    return bool(before) and bool(now) and before != now and len(syntaxes) == 1


def _definition(source: str, name: str) -> _Definition:
    tree = ast.parse(textwrap.dedent(source))
    return next(node for node in ast.walk(tree) if isinstance(node, _Definition) and node.name == name)


def _module_level(function: Callable[..., Any]) -> dict[str, list[ast.stmt]]:
    """Return what the module of a function defines or assigns, by name; nothing of a notebook or a session."""
    module = sys.modules.get(function.__module__)
    if module is None or not getattr(module, "__file__", None):
        return {}
    found: dict[str, list[ast.stmt]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        for name in _defined(node):
            found.setdefault(name, []).append(node)
    return found


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, _Definition):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def _names(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load))


def _without_decorators(node: _Definition) -> _Definition:
    # What the declaration says (inputs, units, references) is compared by itself, or decides nothing.
    node.decorator_list = []
    return node


def _text(node: ast.AST) -> str:
    for part in ast.walk(node):
        if isinstance(part, _Definition) and ast.get_docstring(part, clean=False) is not None:
            part.body = part.body[1:] or [ast.Pass()]
    return ast.unparse(node)

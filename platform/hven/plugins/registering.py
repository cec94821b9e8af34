"""What is checked of a plugin before it is registered, and what is said when nothing of a name or kind is there."""

import ast
import inspect
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

import pluggy

from hven.errors import ReaderNotFoundError, did_you_mean
from hven.plugins import hookspecs
from hven.plugins.claims import Explanation

HOOKS: tuple[str, ...] = tuple(
    name for name, thing in vars(hookspecs).items() if name.startswith("hven_") and inspect.isfunction(thing)
)


API_ATTRIBUTE = "HVEN_API"


def version_misfit(wanted: Any) -> str:
    """Return what is said of a plugin written for this version of the hooks; empty when it is ours, or None.

    Examples
    --------
    >>> version_misfit(1), version_misfit(7)
    ('', 'it is written for version 7 of the plugin API, and this hven has 1')
    """
    if wanted is None or (wanted == hookspecs.API_VERSION and type(wanted) is int):
        return ""
    return f"it is written for version {wanted!r} of the plugin API, and this hven has {hookspecs.API_VERSION}"


def version_in_source(module: str) -> Any:
    """Return the ``HVEN_API`` that a module's text gives, without running it; None when it gives none.

    Examples
    --------
    >>> version_in_source("hven.monitor") is None
    True
    """
    try:
        spec = find_spec(module)
        text = Path(spec.origin).read_text(encoding="utf-8") if spec is not None and spec.origin else ""
        lines = ast.parse(text).body
    except (Exception, SystemExit):  # noqa: BLE001 - isolation border: finding a submodule imports the package around it
        return None
    for line in lines:
        targets = (
            line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        )
        is_meant = any(isinstance(target, ast.Name) and target.id == API_ATTRIBUTE for target in targets)
        if is_meant and isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(line.value, ast.Constant):
            return line.value.value
    return None


def misfit(plugin: Any, hooks: pluggy.PluginManager) -> str:
    """Return why `plugin` cannot be registered, empty when it can: another API version, a misspelt hook, a wrapper."""
    if reason := version_misfit(getattr(plugin, API_ATTRIBUTE, hookspecs.API_VERSION)):
        return reason
    for name, options in _implementations(plugin, hooks).items():
        hook = options.get("specname") or name
        if hook not in HOOKS and not options.get("optionalhook"):
            return f"there is no hook {hook!r}. {did_you_mean(hook, HOOKS, 'The hooks are: ' + ', '.join(HOOKS) + '.')}"
        if options.get("wrapper") or options.get("hookwrapper"):
            return f"{name!r} is a hook wrapper, and every implementation of a hook is called for itself"
    return ""


def oversight(plugin: Any, hooks: pluggy.PluginManager) -> str:
    """Return what its author probably forgot, empty when nothing: a function named like a hook, but not marked."""
    marked = _implementations(plugin, hooks)
    module = getattr(plugin, "__name__", None)
    for name in HOOKS:
        function = getattr(plugin, "__dict__", {}).get(name)
        if inspect.isfunction(function) and name not in marked and function.__module__ == module:
            return f"{name!r} is not marked @hven.hookimpl, so it is not called"
    return "" if marked else "it implements no hook"


def said_version(plugin: Any) -> str:
    """Return the ``__version__`` of a plugin that no distribution brings, empty when it has none."""
    return str(getattr(plugin, "__version__", ""))


def unknown_format(what: str, name: str, known: Collection[str]) -> ReaderNotFoundError:
    """Return (not raise) the error for a reader or exporter that is not there, with the nearest names."""
    return ReaderNotFoundError(
        f"there is no {what} {name!r}",
        hint=did_you_mean(name, known, f"The {what}s are: {', '.join(sorted(known)) or 'none'}."),
    )


def unknown_file(what: str, path: Any, fitting: Collection[str], known: Collection[str]) -> ReaderNotFoundError:
    """Return (not raise) the error for a file that no reader or exporter fits, or more than one equally well."""
    name = PurePath(str(path)).name
    if fitting:
        return ReaderNotFoundError(
            f"{name!r} fits the {what}s {', '.join(sorted(fitting))} equally well",
            hint=f"Say which, as in --{what} {min(fitting)}.",
        )
    return ReaderNotFoundError(
        f"no {what} fits the file name {name!r}",
        hint=f"Name one of: {', '.join(sorted(known)) or 'none is installed'}.",
    )


def unclaimed_file(explained: Explanation, known: Collection[str]) -> ReaderNotFoundError:
    """Return (not raise) the error for a file that no reader can read, or more than one equally well."""
    name = PurePath(explained.path).name
    if not explained.claims:
        return ReaderNotFoundError(
            f"no reader knows what {name!r} is{_first_words(explained.path)}",
            where=explained.path,
            hint=f"Name one of: {', '.join(sorted(known)) or 'none is installed'}.",
        )
    reader, best = explained.claims[0]
    if best.refusal:
        return ReaderNotFoundError(
            f"{name!r} is {best.what}: {best.refusal}", where=explained.path, hint=best.hint or "Leave it out."
        )
    equal = [other for other, claim in explained.claims if claim.level == best.level]
    return ReaderNotFoundError(
        f"{name!r} is claimed by the readers {', '.join(sorted(equal))} equally well",
        where=explained.path,
        hint=f"Say which, as in --reader {reader}.",
    )


def _first_words(path: str) -> str:
    """Return what the beginning of a file shows to a person, empty for a folder or a file that is not there."""
    if not Path(path).is_file():
        return ""
    with Path(path).open("rb") as file:
        start = file.read(200)
    try:
        words = start.decode("utf-8", errors="strict" if len(start) < 200 else "ignore").split()
    except UnicodeDecodeError:
        words = []
    if not words or b"\x00" in start:
        return f": it begins with the bytes {start[:16]!r}"
    return f": text without a table that a reader recognises, {' '.join(words)[:60]!r}"


def _implementations(plugin: Any, hooks: pluggy.PluginManager) -> dict[str, Mapping[str, Any]]:
    found = {name: hooks.parse_hookimpl_opts(plugin, name) for name in dir(plugin)}
    return {name: options for name, options in found.items() if options is not None}

"""What is checked of a plugin before it is registered, and what is said when nothing of a name or kind is there."""

import inspect
from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

import pluggy

from hven.errors import ReaderNotFoundError, did_you_mean
from hven.plugins import hookspecs

HOOKS: tuple[str, ...] = tuple(
    name for name, thing in vars(hookspecs).items() if name.startswith("hven_") and inspect.isfunction(thing)
)


def misfit(plugin: Any, hooks: pluggy.PluginManager) -> str:
    """Return why `plugin` cannot be registered, empty when it can: another API version, a misspelt hook, a wrapper."""
    wanted = getattr(plugin, "HVEN_API", hookspecs.API_VERSION)
    if wanted != hookspecs.API_VERSION:
        return f"it is written for version {wanted!r} of the plugin API, and this hven has {hookspecs.API_VERSION}"
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


def _implementations(plugin: Any, hooks: pluggy.PluginManager) -> dict[str, Mapping[str, Any]]:
    found = {name: hooks.parse_hookimpl_opts(plugin, name) for name in dir(plugin)}
    return {name: options for name, options in found.items() if options is not None}

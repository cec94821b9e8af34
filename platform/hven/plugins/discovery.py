"""How plugins are found: each entry point loaded on its own, so that a broken one is reported and harms nobody."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pluggy

from hven.errors import DeclarationError, PluginLoadError
from hven.plugins import hookspecs
from hven.plugins.analysis import Analysis, nearest_analysis
from hven.plugins.reader import Exporter, Reader
from hven.plugins.registering import misfit, oversight, said_version, unknown_file, unknown_format

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

DISABLE_VARIABLE = "HVEN_DISABLE_PLUGINS"
State = Literal["loaded", "failed", "disabled"]
_BRINGING: Mapping[str, tuple[str, type]] = {
    "hven_analyses": ("analyses", Analysis),
    "hven_readers": ("readers", Reader),
    "hven_exporters": ("exporters", Exporter),
}


@dataclass(frozen=True)
class PluginInfo:
    """One plugin that is installed, loaded or not.

    Attributes
    ----------
    name
        The name of its entry point.
    distribution, version
        The installed package that it belongs to; empty when it was registered by hand.
    module
        What the entry point names.
    state
        ``"loaded"``, ``"failed"`` or ``"disabled"``.
    brings
        Names by sort: ``analyses``, ``readers``, ``exporters``, and ``hooks`` for the life-cycle hooks it listens to.
    reason
        Why it is not loaded, or what of it is left out.
    traceback
        The whole traceback behind the reason, where there is one.
    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    state: State = "loaded"
    brings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reason: str = ""
    traceback: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        return {**vars(self), "brings": {sort: list(names) for sort, names in self.brings.items()}}


class Answer(NamedTuple):
    """What one plugin's implementation of a hook did: its result, or the error that it raised."""

    plugin: str
    result: Any
    error: Exception | None


@dataclass(frozen=True)
class Fault:
    """An error that a plugin's hook raised; whatever called the hook went on."""

    plugin: str
    hook: str
    error: str
    traceback: str


class PluginRegistry:
    """What the loaded plugins bring, and which are not loaded and why.

    Parameters
    ----------
    entry_points
        Where the plugins are. Those of the distribution ``hven`` are loaded first, the others by name, so that which
        of two equal names wins does not depend on the order of folders.
    disabled
        Names of plugins or distributions not to load.

    Attributes
    ----------
    plugins
        Every plugin found, loaded or not.
    analyses, readers, exporters
        What they bring, by name.
    faults
        Errors that hooks have raised so far in `call`.

    Examples
    --------
    >>> registry = PluginRegistry([])
    >>> registry.loaded, dict(registry.analyses)
    ([], {})
    """

    def __init__(self, entry_points: "Iterable[EntryPoint]", disabled: Collection[str] = ()) -> None:
        self.plugins: list[PluginInfo] = []
        self.analyses: dict[str, Analysis] = {}
        self.readers: dict[str, Reader] = {}
        self.exporters: dict[str, Exporter] = {}
        self.faults: list[Fault] = []
        self._owners: dict[tuple[str, str], str] = {}
        self._hooks = pluggy.PluginManager(hookspecs.PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        for point in sorted(dict.fromkeys(entry_points), key=_order):
            distribution, version = _distribution(point)
            info = PluginInfo(point.name, distribution, version, point.value)
            if {point.name, distribution} & set(disabled):
                reason = f"disabled by {DISABLE_VARIABLE} or by name"
                self.plugins.append(_changed(info, state="disabled", reason=reason))
                continue
            try:
                plugin = point.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - isolation border: loading a plugin
                reason = f"it cannot be imported: {type(error).__name__}: {error}"
                self.plugins.append(_failed(info, reason, error))
                continue
            self._register(plugin, info)

    @property
    def loaded(self) -> list[PluginInfo]:
        """The plugins in use."""
        return [info for info in self.plugins if info.state == "loaded"]

    @property
    def failed(self) -> list[PluginInfo]:
        """The plugins that could not be loaded."""
        return [info for info in self.plugins if info.state == "failed"]

    @property
    def disabled(self) -> list[PluginInfo]:
        """The plugins that somebody switched off."""
        return [info for info in self.plugins if info.state == "disabled"]

    def register(self, plugin: Any, name: str) -> PluginInfo:
        """Add a module or object as a plugin by hand, for tests and notebooks, and return what became of it.

        Raises
        ------
        PluginLoadError
            If it does not fit; an entry point that does not is only reported.
        """
        info = self._register(plugin, PluginInfo(name, module=getattr(plugin, "__name__", type(plugin).__name__)))
        if info.state == "failed":
            raise PluginLoadError(f"plugin {name!r} is not loaded: {info.reason}", hint="Correct the plugin.")
        return info

    def analysis(self, name: str) -> Analysis:
        """Return the analysis called `name`.

        Raises
        ------
        AnalysisNotFoundError
            If no loaded plugin brings it, with the nearest names and the plugins that failed to load.
        """
        if name in self.analyses:
            return self.analyses[name]
        error = nearest_analysis(name, self.analyses)
        if self.failed:
            failed = ", ".join(info.name for info in self.failed)
            error = type(error)(error.what, hint=f"{error.hint} Not loaded: {failed} (see `hven plugins`).")
        raise error

    def reader(self, name: str) -> Reader:
        """Return the reader called `name`.

        Raises
        ------
        ReaderNotFoundError
            If no loaded plugin brings it, with the nearest names.
        """
        if name not in self.readers:
            raise unknown_format("reader", name, self.readers)
        return self.readers[name]

    def exporter(self, name: str) -> Exporter:
        """Return the exporter called `name`.

        Raises
        ------
        ReaderNotFoundError
            If no loaded plugin brings it, with the nearest names.
        """
        if name not in self.exporters:
            raise unknown_format("exporter", name, self.exporters)
        return self.exporters[name]

    def reader_for(self, path: Any) -> Reader:
        """Return the reader whose pattern fits the name of a file best.

        Raises
        ------
        ReaderNotFoundError
            If none fits, or two fit equally well.
        """
        best = max((r.matches(path) for r in self.readers.values()), default=0)
        fitting = {n: r for n, r in self.readers.items() if best and r.matches(path) == best}
        if len(fitting) != 1:
            raise unknown_file("reader", path, fitting, self.readers)
        return next(iter(fitting.values()))

    def exporter_for(self, path: Any, kind: str = "table") -> Exporter:
        """Return the exporter of datasets of a `kind` whose pattern fits the name of a file best.

        Raises
        ------
        ReaderNotFoundError
            If none fits, or two fit equally well.
        """
        able = {n: e for n, e in self.exporters.items() if kind in e.takes}
        best = max((e.matches(path) for e in able.values()), default=0)
        fitting = {n: e for n, e in able.items() if best and e.matches(path) == best}
        if len(fitting) != 1:
            raise unknown_file("exporter", path, fitting, able)
        return next(iter(fitting.values()))

    def call(self, hook: str, **arguments: Any) -> list[Answer]:
        """Return what each plugin's implementation of `hook` did; one that raises is recorded and stops no other.

        Parameters
        ----------
        hook
            The name of a hook of `hven.plugins.hookspecs`.
        **arguments
            Its arguments; an implementation is given those it takes.
        """
        answers = []
        for implementation in reversed(getattr(self._hooks.hook, hook).get_hookimpls()):
            try:
                taken = {name: arguments[name] for name in implementation.argnames}
                answers.append(Answer(implementation.plugin_name, implementation.function(**taken), None))
            except Exception as error:  # noqa: BLE001 - isolation border: a plugin's hook
                text = f"{type(error).__name__}: {error}"
                self.faults.append(Fault(implementation.plugin_name, hook, text, "".join(format_exception(error))))
                answers.append(Answer(implementation.plugin_name, None, error))
        return answers

    def _register(self, plugin: Any, info: PluginInfo) -> PluginInfo:
        key = info.name if not self._hooks.has_plugin(info.name) else f"{info.name} of {info.distribution}"
        try:
            reason = misfit(plugin, self._hooks)
            if reason:
                info = _changed(info, state="failed", reason=reason)
            else:
                self._hooks.register(plugin, key)
                self._hooks.check_pending()
                info = self._take(key, info)
                info = _changed(info, reason="; ".join(filter(None, [info.reason, oversight(plugin, self._hooks)])))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - isolation border: loading a plugin
            if self._hooks.has_plugin(key):
                self._hooks.unregister(name=key)
            info = _failed(info, f"{type(error).__name__}: {error}", error)
        self.plugins.append(_changed(info, version=info.version or said_version(plugin)))
        return self.plugins[-1]

    def _take(self, key: str, info: PluginInfo) -> PluginInfo:
        """Take in what a registered plugin brings: everything, or nothing when one of its hooks raises or misfits."""
        listens: list[str] = []
        clashes: list[str] = []
        found: list[tuple[str, type, Any]] = []
        for caller in self._hooks.get_hookcallers(self._hooks.get_plugin(key)) or []:
            if caller.name not in _BRINGING:
                listens.append(caller.name)
                continue
            sort, kind = _BRINGING[caller.name]
            for implementation in caller.get_hookimpls():
                if implementation.plugin_name == key:
                    brought: Any = implementation.function()
                    found += [(sort, kind, thing) for thing in brought or ()]
        for sort, kind, thing in found:
            if not isinstance(thing, kind):
                raise DeclarationError(
                    f"it brings {thing!r} among its {sort}", expected=kind.__name__, hint="Return decorated functions."
                )
        brings: dict[str, tuple[str, ...]] = {}
        for sort, _, thing in found:
            owner = self._owners.setdefault((sort, thing.name), key)
            if thing.name in getattr(self, sort):
                clashes.append(f"{thing.name!r} of its {sort} is left out, because {owner!r} brings one of that name")
                continue
            getattr(self, sort)[thing.name] = thing
            brings[sort] = (*brings.get(sort, ()), thing.name)
        if listens:
            brings["hooks"] = tuple(sorted(listens))
        return _changed(info, brings=brings, reason="; ".join(clashes))


def plugins(*, refresh: bool = False, disabled: Collection[str] = ()) -> PluginRegistry:
    """Return the registry of installed plugins: found once a process, again with `refresh`.

    Parameters
    ----------
    refresh
        Look again, for instance after installing one.
    disabled
        Names of plugins or distributions to leave out, beside those that ``HVEN_DISABLE_PLUGINS`` lists (by commas).

    Examples
    --------
    >>> plugins() is plugins()
    True
    """
    if refresh:
        _discover.cache_clear()
    listed = (name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(","))
    return _discover(frozenset([*filter(None, listed), *disabled]))


@lru_cache(maxsize=8)
def _discover(disabled: frozenset[str]) -> PluginRegistry:
    return PluginRegistry(metadata.entry_points(group=hookspecs.ENTRY_POINTS), disabled)


def _order(point: "EntryPoint") -> tuple[bool, str, str]:
    distribution, _ = _distribution(point)
    return distribution != hookspecs.PROJECT, distribution, point.name


def _distribution(point: "EntryPoint") -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist is not None else ("", "")


def _changed(info: PluginInfo, **fields: Any) -> PluginInfo:
    return PluginInfo(**{**vars(info), **fields})


def _failed(info: PluginInfo, reason: str, error: BaseException) -> PluginInfo:
    return _changed(info, state="failed", reason=reason, traceback="".join(format_exception(error)))

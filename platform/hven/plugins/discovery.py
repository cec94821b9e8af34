"""How plugins are found: each entry point loaded on its own, so that a broken one is reported and harms nobody."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module, metadata
from pathlib import Path
from time import perf_counter
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pluggy

from hven.errors import DeclarationError, PluginLoadError, PluginNotFoundError, did_you_mean
from hven.plugins import hookspecs
from hven.plugins.analysis import Analysis, nearest_analysis
from hven.plugins.archives import local_file, plain_name
from hven.plugins.claims import Claim, Explanation, FileHead
from hven.plugins.foreign_files import foreign_claim
from hven.plugins.reader import Exporter, Reader
from hven.plugins.registering import (
    misfit,
    oversight,
    said_version,
    unclaimed_file,
    unknown_file,
    unknown_format,
    version_in_source,
    version_misfit,
)
from hven.plugins.switches import Voice, switched_off_by, voices

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SLOW_SECONDS = 1.0
"""Seconds of its import from which on a plugin is called slow: everybody waits for it, whatever they run."""

NO_READER = "none"
"""What stands for a reader in the claim of a file that no reader reads."""

_MOST_FAULTS = 100
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
    seconds
        How long its import took, without what hven itself imports.
    """

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    state: State = "loaded"
    brings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reason: str = ""
    traceback: str = ""
    seconds: float = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether its import holds up everybody."""
        return self.seconds >= SLOW_SECONDS

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        brings = {sort: list(names) for sort, names in self.brings.items()}
        return {**vars(self), "brings": brings, "seconds": round(self.seconds, 3), "is_slow": self.is_slow}


class Answer(NamedTuple):
    """What one plugin's implementation of a hook did: its result, or the error that it raised."""

    plugin: str
    result: Any
    error: BaseException | None


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
    switches
        Who switches plugins off, the strongest first.
    clock
        Gives the time in seconds, to measure imports by.

    Attributes
    ----------
    plugins
        Every plugin found, loaded or not.
    analyses, readers, exporters
        What they bring, by name.
    faults
        Errors that hooks have raised so far in `call`, each once, and not more than a hundred.

    Examples
    --------
    >>> registry = PluginRegistry([])
    >>> registry.loaded, dict(registry.analyses)
    ([], {})
    """

    def __init__(
        self,
        entry_points: "Iterable[EntryPoint]",
        switches: Collection[Voice] = (),
        clock: Callable[[], float] = perf_counter,
    ) -> None:
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
            if source := switched_off_by(switches, point.name, distribution):
                self.plugins.append(_changed(info, state="disabled", reason=f"disabled by {source}"))
            else:
                self._load(point, info, clock)

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

    def unregister(self, name: str) -> None:
        """Take away a plugin that was added by hand, with all that it brought.

        Raises
        ------
        PluginNotFoundError
            If there is none of that name.
        """
        if not self._hooks.has_plugin(name):
            known = [info.name for info in self.plugins]
            raise PluginNotFoundError(
                f"there is no plugin {name!r}", hint=did_you_mean(name, known, f"There are: {', '.join(known)}.")
            )
        self._hooks.unregister(name=name)
        for sort, thing in [key for key, owner in self._owners.items() if owner == name]:
            del self._owners[sort, thing]
            getattr(self, sort).pop(thing, None)
        self.plugins = [info for info in self.plugins if info.name != name or info.state != "loaded"]

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
        if missing := [*self.failed, *self.disabled]:
            names = ", ".join(info.name for info in missing)
            error = type(error)(error.what, hint=f"{error.hint} Not loaded: {names} (see `hven plugins`).")
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

    def explain(self, path: Any) -> Explanation:
        """Return which readers claim a file or folder, what they say of it, and which of them reads it.

        The most specific claim wins; of equally specific ones the reader whose pattern fits the name best.
        """
        with local_file(str(path)) as local:
            head = FileHead(local)
            found = [(name, claim) for name, one in self.readers.items() if (claim := one.claim(head)) is not None]
            if Path(local).exists() and (foreign := foreign_claim(head)) is not None:
                found.append((NO_READER, foreign))
        found.sort(key=lambda one: (*(-rank for rank in _rank(self, one[0], one[1], path)), one[0]))
        best = [
            name
            for name, claim in found
            if _rank(self, name, claim, path) == _rank(self, found[0][0], found[0][1], path)
        ]
        is_read = len(best) == 1 and not found[0][1].refusal
        return Explanation(str(path), tuple(found), self.readers[best[0]] if is_read else None)

    def reader_for(self, path: Any) -> Reader:
        """Return the reader that claims a file most specifically, from its content.

        Raises
        ------
        ReaderNotFoundError
            If none claims it, or two do equally well; says what the file is where a reader knows that.
        """
        explained = self.explain(path)
        if explained.chosen is None:
            raise unclaimed_file(explained, self.readers)
        return explained.chosen

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
            except (Exception, SystemExit) as error:  # noqa: BLE001 - isolation border: a plugin's hook
                text = f"{type(error).__name__}: {error}"
                fault = Fault(implementation.plugin_name, hook, text, "".join(format_exception(error)))
                if fault not in self.faults and len(self.faults) < _MOST_FAULTS:
                    self.faults.append(fault)
                answers.append(Answer(implementation.plugin_name, None, error))
        return answers

    def _load(self, point: "EntryPoint", info: PluginInfo, clock: Callable[[], float]) -> None:
        began = clock()
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - isolation border: loading a plugin
            # Written for other hooks, it may fail at the import of something that this hven does not have.
            misfit_of_version = version_misfit(version_in_source(point.module))
            reason = misfit_of_version or f"it cannot be imported: {type(error).__name__}: {error}"
            self.plugins.append(_failed(_changed(info, seconds=clock() - began), reason, error))
            return
        info = _changed(info, seconds=clock() - began)
        if info.is_slow:
            told = f"its import takes {info.seconds:.1f} s (python -X importtime -c 'import {point.module}' shows why)"
            info = _changed(info, reason=told)
        self._register(plugin, info)

    def _register(self, plugin: Any, info: PluginInfo) -> PluginInfo:
        key = info.name if not self._hooks.has_plugin(info.name) else f"{info.name} of {info.distribution}"
        try:
            reason = misfit(plugin, self._hooks)
            if reason:
                info = _changed(info, state="failed", reason=_joined(reason, info.reason))
            else:
                self._hooks.register(plugin, key)
                self._hooks.check_pending()
                info = self._take(key, info)
                info = _changed(info, reason=_joined(info.reason, oversight(plugin, self._hooks)))
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
        return _changed(info, brings=brings, reason=_joined(*clashes, info.reason))


def plugins(*, refresh: bool = False) -> PluginRegistry:
    """Return the registry of installed plugins: found once a process, again with `refresh`.

    Plugins that somebody switched off (`hven.plugins.switched`, ``HVEN_DISABLE_PLUGINS``, the user's settings) are
    not even imported.

    Parameters
    ----------
    refresh
        Look again, for instance after installing one.

    Raises
    ------
    SettingsError
        If the user's settings cannot be understood.

    Examples
    --------
    >>> plugins() is plugins()
    True
    """
    if refresh:
        _discover.cache_clear()
    return _discover(voices())


@lru_cache(maxsize=8)
def _discover(switches: tuple[Voice, ...]) -> PluginRegistry:
    # What nearly every plugin imports is no plugin's fault: it is here before the first import is timed.
    for module in ("astropy.units", "pydantic", "xarray"):
        import_module(module)
    return PluginRegistry(metadata.entry_points(group=hookspecs.ENTRY_POINTS), switches)


def _rank(registry: PluginRegistry, name: str, claim: Claim, path: Any) -> tuple[int, int]:
    if name not in registry.readers:
        return claim.level, 0
    reader = registry.readers[name]
    return claim.level, max(reader.matches(path), reader.matches(plain_name(str(path))))


def _order(point: "EntryPoint") -> tuple[bool, str, str]:
    distribution, _ = _distribution(point)
    return distribution != hookspecs.PROJECT, distribution, point.name


def _distribution(point: "EntryPoint") -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist is not None else ("", "")


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _changed(info: PluginInfo, **fields: Any) -> PluginInfo:
    return PluginInfo(**{**vars(info), **fields})


def _failed(info: PluginInfo, reason: str, error: BaseException) -> PluginInfo:
    return _changed(info, state="failed", reason=reason, traceback="".join(format_exception(error)))

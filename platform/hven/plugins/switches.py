"""Which plugins are switched off: said on the command line or in code, in the environment, or in the user's settings.

The strongest voice that names a plugin decides: a flag (or `switched`) before the environment before the file. A lake
has no say: which code runs is up to whoever runs it, not to the data.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import metadata

from hven.errors import PluginNotFoundError, did_you_mean
from hven.plugins.hookspecs import ENTRY_POINTS
from hven.plugins.user_settings import read_settings, settings_path, write_settings

DISABLE_VARIABLE = "HVEN_DISABLE_PLUGINS"
ENABLE_VARIABLE = "HVEN_ENABLE_PLUGINS"
ALL = "all"


@dataclass(frozen=True)
class Voice:
    """One that switches plugins: what it is called, and which names it takes away and which it lets in.

    A name is that of a plugin or of its distribution, or ``"all"``; a name counts before ``"all"``.
    """

    source: str
    disabled: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()

    def says(self, names: Collection[str]) -> str:
        """Return ``"disabled"``, ``"enabled"`` or ``""`` for a plugin that goes by any of `names`.

        Examples
        --------
        >>> only = Voice("me", disabled=("all",), enabled=("gradients",))
        >>> only.says(["gradients", "hven"]), only.says(["files", "hven"])
        ('enabled', 'disabled')
        """
        for known in (set(names), {ALL}):
            for told, listed in (("disabled", self.disabled), ("enabled", self.enabled)):
                if known & set(listed):
                    return told
        return ""


_SPOKEN: ContextVar[tuple[Voice, ...]] = ContextVar("hven_switched_plugins", default=())


@contextmanager
def switched(
    *, disable: Collection[str] = (), enable: Collection[str] = (), source: str = "hven.plugins.switched"
) -> Iterator[None]:
    """Switch plugins off and on while a block of code runs, whatever the environment and the settings say.

    Parameters
    ----------
    disable, enable
        Names of plugins or distributions, or ``"all"``.
    source
        What is given as the reason for a plugin that is off.

    Raises
    ------
    PluginNotFoundError
        For a name that no installed plugin has.

    Examples
    --------
    >>> from hven.plugins import plugins
    >>> with switched(disable=["files"]):
    ...     "csv" in plugins().readers
    False
    """
    for name in (*disable, *enable):
        if name != ALL:
            check_installed(name)
    token = _SPOKEN.set((Voice(source, tuple(disable), tuple(enable)), *_SPOKEN.get()))
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def voices() -> tuple[Voice, ...]:
    """Return who has a say now, the strongest first."""
    disabled, enabled = (_listed(os.environ.get(name, "")) for name in (DISABLE_VARIABLE, ENABLE_VARIABLE))
    source = " and ".join(n for n, said in ((DISABLE_VARIABLE, disabled), (ENABLE_VARIABLE, enabled)) if said)
    kept = read_settings()
    found = (*_SPOKEN.get(), Voice(source, disabled, enabled), Voice(str(settings_path()), kept.disabled_plugins))
    return tuple(voice for voice in found if voice.disabled or voice.enabled)


def switched_off_by(said: Collection[Voice], *names: str) -> str:
    """Return who switches off a plugin that goes by these names; empty when nobody does.

    Examples
    --------
    >>> strong, weak = Voice("the flag", enabled=("files",)), Voice("the file", disabled=("files", "monitor"))
    >>> switched_off_by([strong, weak], "files", "hven"), switched_off_by([strong, weak], "monitor", "hven")
    ('', 'the file')
    """
    for voice in said:
        if told := voice.says(names):
            return voice.source if told == "disabled" else ""
    return ""


def keep_disabled(name: str) -> None:
    """Disable a plugin in the user's settings, for good.

    Raises
    ------
    PluginNotFoundError
        If no installed plugin or distribution has that name.
    """
    check_installed(name)
    kept = read_settings().disabled_plugins
    if name not in kept:
        write_settings(disabled_plugins=(*kept, name))


def keep_enabled(name: str) -> None:
    """Take a plugin off the list of disabled ones in the user's settings.

    Raises
    ------
    PluginNotFoundError
        If it is neither on the list nor installed.
    """
    kept = read_settings().disabled_plugins
    if name not in kept:
        check_installed(name)
        return
    write_settings(disabled_plugins=tuple(other for other in kept if other != name))


def check_installed(name: str) -> None:
    """Refuse a name that is neither that of an installed plugin nor of its distribution; nothing is imported.

    Raises
    ------
    PluginNotFoundError
        With the nearest names.
    """
    points = metadata.entry_points(group=ENTRY_POINTS)
    known = {n for point in points for n in (point.name, point.dist.name if point.dist is not None else "") if n}
    if name not in known:
        raise PluginNotFoundError(
            f"no plugin {name!r} is installed",
            hint=did_you_mean(name, known, f"The plugins are: {', '.join(sorted(p.name for p in points))}."),
        )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))

"""The user's settings: one small YAML file that people may edit, and that ``hven plugin disable`` edits for them."""

import os
import sys
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from hven.errors import SettingsError, StorageError, did_you_mean

CONFIG_VARIABLE = "HVEN_CONFIG"
_HEAD = "# Settings of hven for this user; https://hven.readthedocs.io says what may stand here.\n"


@dataclass(frozen=True)
class Notify:
    """Who is told, and how, of a schedule's firing that did not go well; empty for not at all.

    Attributes
    ----------
    command
        A command that gets the message as JSON on standard input.
    webhook
        An address (http or https) to which the message is posted as JSON.
    mail_to, mail_from
        Addresses.
    smtp
        The mail server, as ``host`` or ``host:port``.
    smtp_user
        Its user, when it wants one; the password is in ``HVEN_SMTP_PASSWORD``.
    starttls
        Whether the connection to it is encrypted.
    """

    command: str = ""
    webhook: str = ""
    mail_to: tuple[str, ...] = ()
    mail_from: str = "hven"
    smtp: str = "localhost"
    smtp_user: str = ""
    starttls: bool = False


@dataclass(frozen=True)
class Settings:
    """What the file says.

    Attributes
    ----------
    disabled_plugins
        Names of plugins or distributions that are not loaded.
    notify
        Who is told, and how, of a schedule's firing that did not go well.
    """

    disabled_plugins: tuple[str, ...] = ()
    notify: Notify = Notify()


def settings_path() -> Path:
    r"""Return where the settings are, there or not: ``HVEN_CONFIG``, else where the system keeps such files.

    That is ``~/.config/hven/config.yaml`` (or under ``XDG_CONFIG_HOME``), on Windows ``%APPDATA%\hven\config.yaml``.
    """
    if told := os.environ.get(CONFIG_VARIABLE):
        return Path(told).expanduser()
    if sys.platform == "win32":
        home = os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming"
    else:
        home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "hven" / "config.yaml"


def read_settings() -> Settings:
    """Return the user's settings; the usual ones when there is no file.

    Raises
    ------
    SettingsError
        If the file is not YAML, or says something that is not a setting.
    """
    path = settings_path()
    try:
        seen = path.stat()
    except OSError:
        return Settings()
    return _read(path, seen.st_mtime_ns, seen.st_size)


def write_settings(*, disabled_plugins: tuple[str, ...]) -> Path:
    """Write the list of disabled plugins into the settings and return the file; the lines around it stay as they are.

    Raises
    ------
    SettingsError
        If the file that is there cannot be understood.
    StorageError
        If it cannot be written.
    """
    import yaml

    path = settings_path()
    read_settings()
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else [_HEAD]
        around = _without_section("plugins", lines)
        said = {"plugins": {"disabled": list(disabled_plugins)}} if disabled_plugins else {}
        text = "".join(around) + (yaml.safe_dump(said) if said else "")
        _check_edited(text, _others(path) | said, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_name(f"{path.name}.{os.getpid()}")
        written.write_text(text, encoding="utf-8")
        written.replace(path)
    except OSError as error:
        raise StorageError(
            f"the settings cannot be written: {error.strerror}", where=str(path), hint=f"Or set {CONFIG_VARIABLE}."
        ) from error
    return path


def _others(path: Path) -> dict[str, Any]:
    """Return what a file says beside which plugins are disabled."""
    import yaml

    said = (yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None) or {}
    return {key: value for key, value in said.items() if key != "plugins"}


def _check_edited(text: str, said: dict[str, Any], path: Path) -> None:
    """Refuse an edited text that does not say what it should: the file was written in a style of its own."""
    import yaml

    try:
        is_right = (yaml.safe_load(text) or {}) == said
    except yaml.YAMLError:
        is_right = False
    if not is_right:
        raise SettingsError(
            "the settings are written in a way that cannot be edited here",
            where=str(path),
            hint="Edit the file: under 'plugins', 'disabled' is the list of names.",
        )


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int, _size: int) -> Settings:
    import yaml

    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        problem = str(error).replace("\n", " ")
        raise SettingsError(
            f"the settings are not YAML: {problem}", where=str(path), hint="Correct the file."
        ) from error
    everything = _section({"": said}, "", ("plugins", "notify"), path)
    plugins = _section(everything, "plugins", ("disabled",), path)
    disabled = plugins.get("disabled") or []
    if not isinstance(disabled, list) or not all(isinstance(name, str) for name in disabled):
        raise SettingsError(
            f"plugins.disabled is {disabled!r}",
            where=str(path),
            expected="a list of names, as in [gaia_xp, hven-colours]",
            hint="Correct the file.",
        )
    return Settings(tuple(disabled), _notify(_section(everything, "notify", _NOTIFY, path), path))


_NOTIFY = tuple(field.name for field in fields(Notify))


def _notify(said: dict[str, Any], path: Path) -> Notify:
    """Return who is told, checked: a setting that cannot be followed would be found out when it is needed."""
    told = dict(said)
    if isinstance(told.get("mail_to"), str):
        told["mail_to"] = [told["mail_to"]]
    mails = told.setdefault("mail_to", [])
    port = str(told.get("smtp", "")).partition(":")[2]
    wrong = {
        "mail_to": not isinstance(mails, list) or not all(isinstance(one, str) and "@" in one for one in mails),
        "starttls": not isinstance(told.get("starttls", False), bool),
        "webhook": not str(told.get("webhook") or "http://").startswith(("http://", "https://")),
        "smtp": bool(port) and not port.isdecimal(),
    }
    wrong |= {name: not isinstance(told.get(name, ""), str) for name in _NOTIFY if name not in {"mail_to", "starttls"}
              and not wrong.get(name)}  # fmt: skip
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise SettingsError(
                f"notify.{name} is {said.get(name)!r}", where=str(path), expected=_EXPECTED.get(name, "text"),
                hint="Correct the file.",
            )  # fmt: skip
    return Notify(**{**told, "mail_to": tuple(mails)})


_EXPECTED = {
    "mail_to": "a mail address, or a list of them",
    "starttls": "true or false",
    "webhook": "an address that begins with http:// or https://",
    "smtp": "host or host:port",
}


def _section(said: dict[str, Any], name: str, known: tuple[str, ...], path: Path) -> dict[str, Any]:
    section = said.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise SettingsError(
            f"{name or 'the file'} is {section!r}",
            where=str(path),
            expected=f"the settings {', '.join(known)}, each as 'name: value'",
            hint="Correct the file.",
        )
    for key in section:
        if key not in known:
            raise SettingsError(
                f"there is no setting {'.'.join(filter(None, (name, str(key))))!r}",
                where=str(path),
                hint=did_you_mean(str(key), known, f"The settings here are: {', '.join(known)}."),
            )
    return section


def _without_section(name: str, lines: list[str]) -> list[str]:
    """Return the lines of a YAML file without one of its top-level sections; comments around it stay."""
    kept, is_inside = [], False
    for line in lines:
        starts = bool(line.strip()) and not line[0].isspace() and line[0] not in "#-"
        is_inside = line.startswith(f"{name}:") if starts else is_inside and line.strip() != "" and line[0] in " \t-"
        if not is_inside:
            kept.append(line if line.endswith("\n") else f"{line}\n")
    return kept

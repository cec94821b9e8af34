"""Telling people that a firing did not go well: a mail, a webhook or a command, as the settings say."""

import json
import os
import shlex
import smtplib
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from hven.errors import SettingsError
from hven.plugins import read_settings

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.plugins import Notify
    from hven.schedule.firing import Firing

PASSWORD_VARIABLE = "HVEN_SMTP_PASSWORD"  # noqa: S105 - the name of the variable, not what it holds
_PATIENCE = 20.0
"""Seconds that a mail server, a webhook or a command has."""


def notify(lake: "Lake", firing: "Firing") -> list[str]:
    """Tell people of a firing that did not go well, in every way that the settings name; return what failed at it.

    Parameters
    ----------
    lake
        Where it fired.
    firing
        What became of it.

    Examples
    --------
    >>> notify(lake, firing)  # doctest: +SKIP
    []
    """
    try:
        told = read_settings().notify
    except SettingsError as error:
        return [f"nobody was notified: {error}"]
    return [f"nobody was notified by {way}: {problem}" for way, problem in _problems(told, lake, firing)]


def message(lake: "Lake", firing: "Firing") -> dict[str, Any]:
    """Return what is said of a firing: ``title`` and ``text`` for people, ``firing`` and ``lake`` for programs."""
    reason = f"[{firing.error['code']}] {firing.error['what']}" if firing.error else firing.note
    lines = [
        f"Schedule {firing.schedule} of {lake.url} fired at {firing.at} because of {firing.reason}.",
        f"Outcome: {firing.outcome}{f', because {reason}' if reason else ''}.",
        *(f"See: hven runs show {run} --lake {shlex.quote(lake.url)}" for run in firing.runs),
        f"See: hven schedule show {firing.schedule} --lake {shlex.quote(lake.url)}",
    ]
    title = f"hven: schedule {firing.schedule}: {firing.outcome} (firing {firing.number})"
    return {"title": title, "text": "\n".join(lines), "lake": lake.url, "firing": firing.to_json()}


def _problems(told: "Notify", lake: "Lake", firing: "Firing") -> Iterator[tuple[str, str]]:
    said = message(lake, firing)
    for way, is_wanted, send in (
        ("mail", bool(told.mail_to), _mail),
        ("webhook", bool(told.webhook), _post),
        ("command", bool(told.command), _call),
    ):
        if is_wanted:
            try:
                send(told, said)
            except (OSError, smtplib.SMTPException, subprocess.SubprocessError, ValueError) as error:
                yield way, f"{type(error).__name__}: {error}"


def _mail(told: "Notify", said: dict[str, Any]) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = said["title"], told.mail_from, ", ".join(told.mail_to)
    mail.set_content(said["text"])
    host, _, port = told.smtp.partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=_PATIENCE) as server:
        if told.starttls:
            server.starttls()
        if told.smtp_user:
            server.login(told.smtp_user, os.environ.get(PASSWORD_VARIABLE, ""))
        server.send_message(mail)


def _post(told: "Notify", said: dict[str, Any]) -> None:
    # Chat services show "text"; the rest is for programs.
    headers = {"Content-Type": "application/json"}
    request = Request(told.webhook, json.dumps(said, ensure_ascii=False).encode(), headers, method="POST")  # noqa: S310
    with urlopen(request, timeout=_PATIENCE):  # noqa: S310 - the settings allow http and https alone
        pass


def _call(told: "Notify", said: dict[str, Any]) -> None:
    given = json.dumps(said, ensure_ascii=False).encode()
    subprocess.run(  # noqa: S603 - the user's own command, from the user's own settings
        shlex.split(told.command), input=given, check=True, timeout=_PATIENCE, stdout=subprocess.DEVNULL
    )

"""Presence: who is at work on a run, told by that process as long as it lives, and how others ask it to stop.

A run whose record says that it runs is under way as long as somebody is present. On one machine the process itself is
looked for: a killed run is known at once. From another machine the age of a file counts that the process writes again
and again. Being wrong about it harms nothing: checkpoints and commits are put if absent, so that of two processes at
one run the second is refused.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hven.compute.stopping import interrupt
from hven.errors import HvenError
from hven.lake.store import Store

BEAT = 10.0
"""Seconds between two signs of life."""
EXPIRY = 60.0
"""Seconds of silence after which a process on another machine counts as dead."""

_LOOKS = {True: 0.25, False: 5.0}
"""Seconds between two looks for a request to stop: on a local lake, and on an object store, where a look costs."""
_GRACE = 1.0
"""Seconds that the work has to notice a request between two blocks, before it is interrupted in the middle of one."""
_ARRIVAL = 0.1
"""Seconds within which an interrupt that was sent arrives."""
_STATE, _BEGAN = 0, 19
"""Where ``/proc/<pid>/stat`` has the state of a process, and when it began, counted after its name."""


@dataclass
class Presence:
    """What a process that is at work on a run knows of requests to stop.

    Attributes
    ----------
    request
        Who asked it to stop, and when; empty when nobody did.
    """

    request: dict[str, Any] = field(default_factory=dict)
    _is_noticed: bool = False
    _is_interrupted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def check(self) -> None:
        """Return at once, unless somebody asked to stop.

        Raises
        ------
        KeyboardInterrupt
            If somebody did.
        """
        if not self.request:
            return
        with self._lock:
            if self._is_interrupted:
                return  # It is on its way already.
            self._is_noticed = True
        raise KeyboardInterrupt

    def close(self) -> None:
        """Take no requests any more: what is left to do is done in a moment, or better not left half done.

        Raises
        ------
        KeyboardInterrupt
            If one was on its way.
        """
        with self._lock:
            self._is_noticed = True
            is_on_its_way, self._is_interrupted = self._is_interrupted, False
        if is_on_its_way:
            time.sleep(_ARRIVAL)

    def _interrupt(self) -> None:
        """Interrupt the main thread, if the request was not noticed there."""
        with self._lock:
            if not self._is_noticed:
                self._is_interrupted = interrupt()


@contextmanager
def present(store: Store, folder: str) -> Iterator[Presence]:
    """Be present at a run: others see that it is under way, and can ask it to stop.

    Parameters
    ----------
    store, folder
        Where the run's files are.
    """
    presence, done = Presence(), threading.Event()
    mine = json.dumps({"by": me(), "began": _began(os.getpid()), "id": uuid.uuid4().hex}).encode()
    store.delete(_request_key(folder))
    store.put(presence_key(folder), mine)
    is_main = threading.current_thread() is threading.main_thread()
    thread = threading.Thread(target=_attend, args=(store, folder, mine, presence, done, is_main), daemon=True)
    thread.start()
    try:
        yield presence
    finally:
        try:
            presence.close()
        finally:
            done.set()
            thread.join()
            with suppress(HvenError):
                if store.get_or_none(presence_key(folder)) == mine:
                    store.delete(presence_key(folder), _request_key(folder))


def who_is_present(store: Store, folder: str) -> str:
    """Return which process is at work on a run, as ``host:pid``; empty when none is."""
    text = store.get_or_none(presence_key(folder))
    if text is None:
        return ""
    try:
        told = json.loads(text)
        by, host, pid = str(told["by"]), *str(told["by"]).rsplit(":", 1)
        said, began = told["began"], _began(int(pid)) if host == socket.gethostname() else ""
    except (ValueError, KeyError, TypeError):
        by, host, said, began = "a process", "", "", ""  # Torn: its age alone says whether anybody is there.
    if host == socket.gethostname() and Path("/proc/self/stat").exists():
        return by if began and began == said else ""
    changed = store.ages(f"{folder}/presence").get(presence_key(folder), (0.0, 0))[0]
    return by if time.time() - changed < EXPIRY else ""


def ask_to_stop(store: Store, folder: str) -> None:
    """Ask whoever is at work on a run to stop."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    store.put(_request_key(folder), json.dumps({"by": me(), "at": at}).encode())


def me() -> str:
    """Return this process as ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _attend(store: Store, folder: str, mine: bytes, presence: Presence, done: threading.Event, is_main: bool) -> None:
    """Say again and again that the process lives, and look whether somebody asks it to stop."""
    said = time.monotonic()
    while not done.wait(_LOOKS[store.is_local]):
        # A store that does not answer for a while is no reason to stop: the work itself will say so.
        with suppress(HvenError):
            text = store.get_or_none(_request_key(folder)) if not presence.request else None
            if text is not None:
                presence.request = _request(text)
                if is_main and not done.wait(_GRACE):
                    presence._interrupt()  # noqa: SLF001 - the presence's own thread
            if time.monotonic() - said > BEAT:
                store.put(presence_key(folder), mine)
                said = time.monotonic()


def _request(text: bytes) -> dict[str, Any]:
    """Return who asks to stop; a request that is torn is one all the same."""
    try:
        return dict(json.loads(text)) or {"by": "a process"}
    except (ValueError, TypeError):
        return {"by": "a process"}


def _began(pid: int) -> str:
    """Return when a process began, in the system's own count; empty when it has ended, or when nobody can tell."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if told[_STATE] in "ZX" else told[_BEGAN]


def presence_key(folder: str) -> str:
    """Return the key of the file that a process at work on a run writes again and again."""
    return f"{folder}/presence/by.json"


def _request_key(folder: str) -> str:
    return f"{folder}/presence/stop.json"

"""Holds: which datasets are being written outside of a transaction, so that no vacuum touches them.

A run writes for hours before its one commit, and what it has written is in no catalog. It puts a hold, which names its
datasets and the catalog it reads, and removes it when it has ended well. A hold counts as long as the lock that it
names is held (on local lakes, whatever the clocks say), or as long as it, or the sign of life that it names, is young.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from hven.errors import ConflictError
from hven.lake.locks import locked
from hven.lake.store import Store

_FOLDER = "holds"


@dataclass(frozen=True)
class Hold:
    """What is held.

    Attributes
    ----------
    owner
        Whose hold this is: the id of a run.
    names
        Datasets in whose folders something is written that no catalog names.
    catalog
        Number of the catalog whose datasets are read.
    lock
        Name of the lock that the owner holds while it lives, on local lakes.
    beat
        Key of a file that the owner writes again and again while it lives; empty when there is none.
    """

    owner: str
    names: tuple[str, ...]
    catalog: int
    lock: str = ""
    beat: str = ""


@contextmanager
def hold(store: Store, what: Hold) -> Iterator[None]:
    """Hold datasets against vacuums. What ends with an exception may go on one day: its hold stays until it is old.

    Examples
    --------
    >>> import tempfile
    >>> store = Store.at(tempfile.mkdtemp())
    >>> with hold(store, Hold("20261121T034612-slope-ab12cd", ("slope",), 7)):
    ...     [one.names for one in holds(store, 0.0)]
    [('slope',)]
    >>> holds(store, 0.0)
    []
    """
    store.put(_key(what.owner), json.dumps(asdict(what)).encode())
    yield
    store.delete(_key(what.owner))


def holds(store: Store, oldest: float) -> list[Hold]:
    """Return the holds that count: of owners that live, or younger than `oldest` (seconds since the epoch).

    One that cannot be read and is young counts for everything: its ``names`` are empty.
    """
    found = []
    for key, (changed, _) in store.ages(_FOLDER).items():
        what = _read(store, key)
        beat = store.ages(what.beat.rpartition("/")[0]).get(what.beat, (0.0, 0))[0] if what.beat else 0.0
        if max(changed, beat) >= oldest or (what.lock and _is_locked(store, what.lock)):
            found.append(what)
    return found


def is_held(name: str, what: Collection[Hold]) -> bool:
    """Return whether a dataset of this name is held."""
    return any(not one.names or name in one.names for one in what)


def _read(store: Store, key: str) -> Hold:
    try:
        told = json.loads(store.get(key))
        return Hold(told["owner"], tuple(told["names"]), int(told["catalog"]), told["lock"], told["beat"])
    except (ValueError, KeyError, TypeError):
        return Hold(key, (), -1)


def _is_locked(store: Store, name: str) -> bool:
    if store.local_path is None:
        return False
    try:
        with locked(store, name, patience=0.0):
            return False
    except ConflictError:
        return True


def _key(owner: str) -> str:
    return f"{_FOLDER}/{owner}.json"

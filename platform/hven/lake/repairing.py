"""Repairing the chain of catalogs: what can be put right without guessing, each step told."""

import json
import os
import uuid
from dataclasses import replace
from datetime import UTC, datetime

from hven.catalog import Catalog
from hven.errors import HvenError, LakeFormatError, VersionNotFoundError
from hven.lake import chain
from hven.lake.flushing import flush_all, flush_file
from hven.lake.identity import read_identity
from hven.lake.newest import HINT, newest_there, remember, settled_newest
from hven.lake.store import Store
from hven.lake.tombstones import bury


def repair(url: str | os.PathLike[str], *, is_dry: bool = True, **options: str) -> list[str]:
    """Put the chain of catalogs of a lake right, which need not open, and return what was (would be) done.

    Parameters
    ----------
    url, **options
        As `hven.open` takes them.
    is_dry
        Only tell.

    Raises
    ------
    LakeNotFoundError, LakeFormatError
        If there is no lake, or no catalog can be read.
    """
    store = Store.at(url, **options)
    return repair_chain(replace(store, lake=read_identity(store)[1]), is_dry=is_dry)


def repair_chain(store: Store, *, is_dry: bool = True) -> list[str]:
    """Put the chain of catalogs right, and return what was (with `is_dry`, would be) done.

    A hint that names a catalog which is gone, or that cannot be read, is written anew: the newest catalog that is there
    counts. When the newest catalog is damaged, the last one that can be read is committed again after it. Gaps get
    tombstones. Data are never touched.

    Raises
    ------
    LakeFormatError
        If no catalog can be read.

    Examples
    --------
    >>> import hven, tempfile
    >>> repair_chain(hven.create(tempfile.mkdtemp() + "/lake").store)
    []
    """
    done: list[str] = []
    top = newest_there(store)
    hinted = _hinted(store)
    if hinted is None or hinted > top:
        gone = "cannot be read" if hinted is None else f"names catalog {hinted}, which is gone"
        done.append(f"the hint {gone}: catalog {top} counts as the newest")
        if not is_dry:
            remember(store, top, uuid.uuid4().hex)
    last, damaged = _last_readable(store, top)
    if damaged:
        done.append(f"catalog {top} cannot be read: what catalog {last.number} has is committed again as {top + 1}")
    if is_dry:
        return done
    if damaged:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        message = f"repaired: as in catalog {last.number}, for catalog {top} could not be read"
        commit = replace(
            last.commit, number=top + 1, transaction=uuid.uuid4().hex, created=now, message=message, changed={}
        )
        flush_all(store)
        store.create(chain.catalog_key(top + 1), Catalog(commit, last.entries, last.schedules).to_json())
        flush_file(store, chain.catalog_key(top + 1))
        remember(store, top + 1, commit.transaction)
        bury(store, top, "")
        chain.forget_catalogs()
    settled_newest(store)
    return done


def _hinted(store: Store) -> int | None:
    """Return the number in the hint; -1 when there is no hint, None when it cannot be read."""
    text = store.get_or_none(HINT)
    if text is None:
        return -1
    try:
        told = json.loads(text)
        return int(told["catalog"] if isinstance(told, dict) else told)
    except (ValueError, KeyError, TypeError):
        return None


def _last_readable(store: Store, top: int) -> tuple[Catalog, bool]:
    """Return the last catalog that can be read, and whether the newest one cannot."""
    for number in range(top, -1, -1):
        try:
            return chain.load_catalog(store, number), number != top
        except VersionNotFoundError:
            continue
        except HvenError:
            continue
    raise LakeFormatError(
        "no catalog of the lake can be read", where=store.url, hint="Restore the folder 'catalogs' from a copy."
    )

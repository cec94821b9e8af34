"""A lake: opened, created, travelled in time, released."""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from hven.catalog import Catalog, Commit
from hven.errors import (
    LakeExistsError,
    LakeFormatError,
    ReadOnlyError,
    ReleaseExistsError,
    VersionNotFoundError,
    did_you_mean,
)
from hven.lake import chain
from hven.lake.compaction import Compacted
from hven.lake.flushing import flush_file
from hven.lake.handle import DatasetHandle
from hven.lake.identity import IDENTITY, identity_text, read_identity
from hven.lake.locks import locked
from hven.lake.newest import newest_number
from hven.lake.releases import damaged_release, read_releases, release_key, release_told
from hven.lake.retention import GRACE, Removed, vacuum
from hven.lake.store import Store, storage_error
from hven.lake.transaction import Transaction, transaction
from hven.schema import check_name

if TYPE_CHECKING:
    import polars as pl

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Lake:
    """A store of datasets, versioned as one: a folder or an object-store prefix.

    Opened plainly, a lake follows its newest commit. `at` and `pinned` give views that stay at one.

    Examples
    --------
    >>> import hven, polars as pl, tempfile
    >>> lake = hven.create(tempfile.mkdtemp() + "/lake")
    >>> with lake.transaction("two stars") as tx:
    ...     tx.write("stars", pl.DataFrame({"object_id": [1, 2], "feh": [0.1, -0.3]}))
    >>> lake["stars"].table(where="feh < 0").collect()["object_id"].to_list()
    [2]
    """

    def __init__(self, store: Store, identity: str, number: int | None = None, *, known: int = -1) -> None:
        self.store = replace(store, lake=identity)
        self.id = identity
        self._pinned = number
        self._known = known

    def __repr__(self) -> str:
        state = "pinned to" if self.is_pinned else "at"
        return f"<hven lake {self.url!r} {state} catalog {self.number}: {len(self)} datasets>"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{self.catalog._repr_html_()}"

    @property
    def url(self) -> str:
        """The lake's absolute path or URL."""
        return self.store.url

    @property
    def is_pinned(self) -> bool:
        """Whether this view stays at one commit, and cannot be written."""
        return self._pinned is not None

    @property
    def number(self) -> int:
        """The number of the catalog this view shows."""
        if self._pinned is not None:
            return self._pinned
        self._known = newest_number(self.store, self._known)
        return self._known

    @property
    def catalog(self) -> Catalog:
        """What there is."""
        return chain.load_catalog(self.store, self.number)

    def __getitem__(self, name: str) -> DatasetHandle:
        """Return a handle on a dataset, pinned to the commit that this view shows now.

        Raises
        ------
        DatasetNotFoundError
            With the nearest names.
        """
        view = self.pinned()
        return DatasetHandle(view, view.catalog[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.catalog)

    def __contains__(self, name: object) -> bool:
        return name in self.catalog

    def __len__(self) -> int:
        return len(self.catalog)

    def at(self, version: int | str) -> "Lake":
        """Return the lake as it was: at a catalog number (``7``) or a release (``"dr1"``). Read-only.

        Raises
        ------
        VersionNotFoundError
            If there is no such commit or release.
        """
        if isinstance(version, str) and _DATE.match(version) and version not in self.releases():
            raise self._no_date(version)
        if isinstance(version, str) and not version.isdecimal():
            return Lake(self.store, self.id, self._release_number(version))
        number = int(version)
        chain.load_catalog(self.store, number)
        return Lake(self.store, self.id, number)

    def pinned(self) -> "Lake":
        """Return a view that stays at the commit this one shows now."""
        return self if self.is_pinned else Lake(self.store, self.id, self.number)

    def transaction(self, message: str = "") -> AbstractContextManager[Transaction]:
        """Give a transaction: what its ``with`` block does is published as one commit when the block ends well.

        Examples
        --------
        >>> with lake.transaction("new stars") as tx:  # doctest: +SKIP
        ...     tx.append("stars", frame)
        """
        return transaction(self, message)

    def sql(self, text: str) -> "pl.LazyFrame":
        """Return what a SQL query gives, as a Polars LazyFrame: of the datasets that it names, nothing is read yet.

        Each dataset of the lake is a table of that name; names with dots or dashes stand in double quotes. Of spectra
        and images, the columns are their values for each object. Functions are those of Polars; a query opens no file.

        Parameters
        ----------
        text
            One query in SQL.

        Raises
        ------
        QueryError
            If it does not only read, or cannot be understood.
        DatasetNotFoundError
            If it names a table that is not a dataset of the lake.

        Examples
        --------
        >>> lake.sql("SELECT COUNT(*) FROM stars WHERE feh < -1").collect()  # doctest: +SKIP
        >>> lake.sql('SELECT ra, dec FROM "gaia.stars" ORDER BY parallax DESC LIMIT 5').collect()  # doctest: +SKIP
        """
        from hven.lake.sql import run_query

        return run_query(self.pinned(), text)

    def log(self, count: int | None = None) -> list[Commit]:
        """Return the commits up to this view's, newest first, or the newest `count` of them.

        Those that retention removed are passed over.
        """
        return list(islice(self._commits(), count))

    def _commits(self) -> Iterator[Commit]:
        for number in range(self.number, -1, -1):
            try:
                yield chain.load_commit(self.store, number)
            except VersionNotFoundError:
                continue

    def release(self, name: str, version: int | None = None) -> int:
        """Name a commit (this view's by default), which keeps it for good, and return its number.

        Raises
        ------
        ReleaseExistsError
            If the name is taken: releases do not move.
        """
        check_name(name, "release")
        number = self.number if version is None else version
        text = self.store.get(chain.catalog_key(chain.load_catalog(self.store, number).number))
        told = {
            "catalog": number,
            "sha256": hashlib.sha256(text).hexdigest(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            self.store.create(release_key(name), json.dumps(told).encode())
            flush_file(self.store, release_key(name))
        except FileExistsError as error:
            raise ReleaseExistsError(
                f"release {name!r} exists",
                where=self.url,
                hint="Releases do not move: choose another name.",
            ) from error
        return number

    def releases(self) -> dict[str, int]:
        """Return release name -> catalog number; releases whose files are damaged are left out."""
        return {name: told[0] for name, told in read_releases(self.store).items() if told is not None}

    def lock(self, name: str, patience: float | None = None) -> AbstractContextManager[None]:
        """Hold a lock of this lake (an operating-system lock on local lakes, nothing on object stores)."""
        return locked(self.store, name, patience=patience)

    def vacuum(
        self,
        *,
        keep: int = 10,
        grace: timedelta = GRACE,
        pinned: Collection[int] = (),
        dry_run: bool = True,
    ) -> Removed:
        """Remove what only old commits need, and return what that is; by default only tell.

        Kept are every release, the last `keep` commits, everything younger than `grace`, and the commits in `pinned`.

        Examples
        --------
        >>> lake.vacuum(keep=3).bytes  # doctest: +SKIP
        """
        if self.is_pinned:
            raise ReadOnlyError(
                "this view of the lake is pinned to one commit", where=self.url, hint="Vacuum through hven.open(url)."
            )
        released = read_releases(self.store)
        for name, told in released.items():
            if told is None:  # Which catalog it keeps is not known: no catalog may go.
                raise damaged_release(self.url, name)
        named = {*self.releases().values(), *pinned}
        return vacuum(self.store, self.number, named, keep, grace, dry_run=dry_run)

    def compact(self, name: str, *, rows: int | None = None) -> Compacted | None:
        """Make few large files or segments of the many small ones of a dataset, as one commit; no object changes.

        Parameters
        ----------
        name
            The dataset.
        rows
            Objects in a new file or segment at most, when the usual number does not suit.

        Returns
        -------
        Compacted or None
            What it came to; None, and no commit, when the dataset is in good shape.

        Raises
        ------
        DatasetNotFoundError, ReadOnlyError, ConflictError
            As for any transaction.

        Examples
        --------
        >>> lake.compact("stars").after  # doctest: +SKIP
        1
        """
        with self.transaction(f"compacted {name}") as tx:
            return tx.compact(name, rows)

    def restore(self, name: str, at: int | str) -> int:
        """Bring a dataset back as it was at a catalog number or a release, as a new commit, and return its number.

        Raises
        ------
        VersionNotFoundError
            If there is no such catalog or release, or a vacuum has removed what the dataset was then.
        DatasetNotFoundError
            If that catalog did not have it.

        Examples
        --------
        >>> lake.restore("stars", at="dr1")  # doctest: +SKIP
        8
        """
        with self.transaction(f"restored {name} as in {at}") as tx:
            tx.restore(name, at)
        return int(tx.commit_number or self.number)

    def _no_date(self, date: str) -> VersionNotFoundError:
        """Return (not raise) the error for a date, with the catalog that was the newest at the end of that day."""
        newest = next((commit for commit in self._commits() if commit.created[:10] <= date[:10]), None)
        known = f"{date[:10]} (UTC) ended with catalog {newest.number}: say {newest.number}." if newest else ""
        return VersionNotFoundError(
            f"{date!r} is a date",
            where=self.url,
            expected="the number of a catalog, or the name of a release",
            hint=known or "The lake has no commit of that day or before; 'hven log' lists them all.",
        )

    def _release_number(self, name: str) -> int:
        text = self.store.get_or_none(release_key(check_name(name, "release")))
        if text is None:
            known = self.releases()
            raise VersionNotFoundError(
                f"there is no release {name!r}",
                where=self.url,
                hint=did_you_mean(name, known, f"The releases are: {', '.join(known) or 'none yet'}."),
            )
        told = release_told(text)
        if told is None:
            raise damaged_release(self.url, name)
        number, digest = told
        if hashlib.sha256(self.store.get_or_none(chain.catalog_key(number)) or b"").hexdigest() != digest:
            raise LakeFormatError(
                f"catalog {number} is not the one that release {name!r} names",
                where=self.url,
                hint="Its file was changed: restore it from a copy of the lake.",
            )
        return number


def create(url: str | os.PathLike[str], **options: str) -> Lake:
    """Create an empty lake and return it.

    Parameters
    ----------
    url
        A folder that is not there yet or empty, or an object-store prefix (``s3://bucket/prefix``).
    **options
        Of the object store (``region``, ``endpoint_url``, ...); credentials come from the environment.

    Raises
    ------
    LakeExistsError
        If something is there already.
    StorageError
        If nothing can be written there.

    Examples
    --------
    >>> import tempfile
    >>> len(create(tempfile.mkdtemp() + "/lake"))
    0
    """
    store = Store.at(url, **options)
    try:
        return _create(store)
    except OSError as error:
        raise storage_error(error, store.url) from error


def open(url: str | os.PathLike[str], **options: str) -> Lake:  # noqa: A001
    """Open a lake. ``url@version`` (a catalog number or a release) gives a view that stays there.

    Raises
    ------
    LakeNotFoundError
        If there is no lake.
    LakeFormatError
        If it is of a format that this hven does not read.

    Examples
    --------
    >>> open("/nowhere")
    Traceback (most recent call last):
    ...
    hven.errors.LakeNotFoundError: there is no lake (/nowhere). Create one with hven.create(url) or 'hven create PATH'.
    """
    address, version = _split_version(os.fspath(url))
    store = Store.at(address, **options)
    identity = read_identity(store)[1]
    if version is not None:
        return Lake(store, identity).at(version)
    # Once, for certain: what a copy or a loss of files may hide is found here, and costs no later question anything.
    return Lake(store, identity, known=newest_number(Store(store.url, store.options, identity), is_certain=True))


def _create(store: Store) -> Lake:
    path = store.local_path
    if path is not None and any(folder.is_file() for folder in (path, *path.parents)):
        raise LakeExistsError("a file is in the way", where=store.url, hint="Choose another folder.")
    taken = store.exists(IDENTITY)
    if taken or _occupied(store):
        raise LakeExistsError(
            "there is a lake already" if taken else "the folder is not empty",
            where=store.url,
            hint="Open it with hven.open(url)." if taken else "Choose an empty folder, or a new one.",
        )
    identity, number = uuid.uuid4().hex, 0
    commit = Commit(number, uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="milliseconds"), "created the lake")
    # The catalog first: a lake is there once its identity is, and then it must open.
    store.create(chain.catalog_key(number), Catalog(commit).to_json())
    store.create(IDENTITY, identity_text(identity))
    flush_file(store, chain.catalog_key(number))
    flush_file(store, IDENTITY)
    return Lake(store, identity, known=number)


def _split_version(url: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"(.+)@([A-Za-z0-9_.\-]+)", url)
    return (url, None) if match is None or Store.at(url).exists(IDENTITY) else (match[1], match[2])


def _occupied(store: Store) -> bool:
    path = store.local_path
    if path is None:
        return bool(store.list(""))
    return path.is_dir() and any(path.iterdir())

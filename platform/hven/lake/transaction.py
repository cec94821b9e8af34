"""A transaction: changes to several datasets, published as one commit or not at all."""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hven.catalog import Catalog, Commit, Counts, Entry, Pin
from hven.errors import ConflictError, DataRefusedError, DatasetNotFoundError, ReadOnlyError, did_you_mean
from hven.lake import arrays, chain, tables
from hven.lake.axes import check_attributes, check_axes, check_units
from hven.lake.compaction import Compacted, compact_source
from hven.lake.deleting import VECTORS, delete_from_arrays, objects_meant, same_objects, vectors_of
from hven.lake.describing import redescribed
from hven.lake.incoming import (
    aligned,
    as_arrays,
    as_frame,
    check_array_ids,
    check_ids,
    check_same_units,
    check_takes_objects,
    coverage_of,
    frame_or_arrays,
    joined_coverage,
    kind_of,
    misfit,
    refuse_known_ids,
    schema_of,
    with_assumed,
    with_types,
)
from hven.lake.locks import SHORT_PATIENCE, locked
from hven.lake.restoring import entry_at
from hven.lake.source import Source, schema_key
from hven.lake.spans import resolution_of, spans_with, wavelength_of
from hven.lake.staging import StagedArrays, StagedTable
from hven.lake.table_rows import change_rows, next_number
from hven.lake.texts import check_texts, kept_texts
from hven.lake.validation import check_arrays, check_frame
from hven.schema import KINDS, Schema, check_name

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

    from hven.lake.lake import Lake
    from hven.lake.tables import WrittenPart
    from hven.sky import Region


@dataclass
class Transaction:
    """Changes that are written, and that become visible together when the ``with`` block ends well.

    Writers of one dataset take turns: on a local lake the first change of a dataset takes its lock, and keeps it until
    the end. On an object store a lost race is a `ConflictError` instead.

    Examples
    --------
    >>> with lake.transaction("new stars") as tx:  # doctest: +SKIP
    ...     tx.append("stars", frame)
    ...     tx.drop("old_stars")
    """

    lake: "Lake"
    message: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    commit_number: int | None = None
    _base: Catalog = field(init=False, repr=False)
    _changes: dict[str, Entry | None] = field(default_factory=dict, repr=False)
    _schedules: dict[str, Mapping[str, Any] | None] = field(default_factory=dict, repr=False)
    _held: ExitStack = field(default_factory=ExitStack, repr=False)
    _locked: set[str] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        self._base = self.lake.catalog

    # ------------------------------------------------------------------ what people call

    def write(
        self,
        name: str,
        data: "pl.DataFrame | xr.Dataset",
        *,
        kind: str | None = None,
        schema: Schema | None = None,
        **texts: Any,
    ) -> None:
        """Create a dataset, or replace it whole.

        Parameters
        ----------
        name
            Of the dataset.
        data
            A Polars frame, or an xarray Dataset: 1-D variables over one dimension make a table, anything else arrays.
        kind
            One of `hven.schema.KINDS`; by default ``table``, ``spectra`` when there is a wavelength, else ``result``.
        schema
            Units, descriptions and UCDs that a frame cannot carry.
        **texts
            ``title``, ``survey``, ``description``, ``citation``, ``provenance``, ``identity``; also ``wavelength``
            [Angstrom] and ``resolution`` (resolving power), lowest and highest, where the data do not tell them.

        Raises
        ------
        DataRefusedError
            For data that cannot be kept; nothing was published.
        ConflictError
            If another process is writing this dataset, or replaced it since this transaction began.
        """
        import polars as pl

        check_name(name)
        check_texts(texts)
        self._claim(name, must_be_as_found=True)
        where = f"dataset {name!r}"
        told = schema if schema is not None else schema_of(data)
        kept = frame_or_arrays(data, kind, where)
        if isinstance(kept, pl.DataFrame):
            frame = tables.tableable(kept, where)
            check_frame(frame, Schema.of_frame(frame, told or ()), where)
            check_ids(frame, name)
            path = self.new_path(name, "table")
            parts = tables.write_parts(self._store, path, tables.new_segment(0), frame)
            version = tables.create_table(self._store, path, frame, parts)
            pin, columns = Pin("delta", path, version), with_assumed(Schema.of_frame(frame, told or ()), data, schema)
            self._set(name, pin, columns, kind or "table", coverage_of(frame), texts)
            return
        check_arrays(kept, kind or kind_of(kept), where)
        check_array_ids(kept, name)
        pin = self._write_group(Pin("icechunk", self.new_path(name, "arrays"), ""), kept, number=0)
        columns = with_assumed(Schema.of_dataset(kept), kept, None)
        self._set(name, pin, columns, kind or kind_of(kept), coverage_of(kept), texts, kept)

    def append(self, name: str, data: "pl.DataFrame | xr.Dataset") -> None:
        """Add objects to a dataset, as a new segment.

        Raises
        ------
        DataRefusedError
            If the columns, units, axes or attributes are not those of the dataset, if an ``object_id`` is in it
            already, or if it is not a dataset of objects (a cube, a model).
        """
        entry = self._claim(name)
        source = self._source(entry)
        if source.is_table:
            frame = aligned(as_frame(data), source)
            check_same_units(data, source)
            check_frame(frame, source.schema, f"dataset {name!r}")
            check_ids(frame, name)
            if "object_id" in frame.columns:
                refuse_known_ids(source, frame["object_id"])
            self._change_table(entry, add=[frame])
            return
        check_takes_objects(source)
        arrays_ = as_arrays(data, name)
        missing = [c.name for c in source.schema if c.name not in arrays_.variables]
        extra = [str(v) for v in arrays_.variables if str(v) not in source.schema]
        if missing or extra:
            raise misfit(name, missing, extra)
        if source.parts:
            check_axes(source.axes(), arrays_, f"dataset {name!r}")
        check_units(source.schema, arrays_, f"dataset {name!r}")
        check_attributes(source.schema.attrs, arrays_, f"dataset {name!r}")
        arrays_ = with_types(arrays_, source.schema, name)
        check_arrays(arrays_, entry.kind, f"dataset {name!r}")
        check_array_ids(arrays_, name)
        if "object_id" in arrays_.variables:
            refuse_known_ids(source, arrays_["object_id"].values)
        pin = self._write_group(entry.pin, arrays_, number=next_number(source.parts))
        cover = joined_coverage(entry, arrays_)
        self._set(name, pin, source.schema, entry.kind, cover, spans_with(entry, arrays_), like=entry)

    def upsert(self, name: str, data: "pl.DataFrame | xr.Dataset", on: str = "object_id") -> None:
        """Put rows into a table: those whose key is there are replaced (and move to a new segment), others are added.

        Raises
        ------
        DataRefusedError
            If the keys repeat, the columns do not fit, or the dataset keeps arrays.
        """
        import polars as pl

        entry = self._claim(name)
        source = self._table_source(entry, "upsert")
        frame = aligned(as_frame(data), source)
        check_same_units(data, source)
        check_frame(frame, source.schema, f"dataset {name!r}")
        repeated = frame.height - frame[on].n_unique() if on in frame.columns else 0
        if on not in frame.columns or repeated or frame[on].null_count():
            raise DataRefusedError(
                f"{on!r} does not name each row once ({repeated} repeat)",
                where=f"dataset {name!r}",
                hint="Give one row a key, or another key with on=.",
            )
        keys = frame[on].implode()
        self._change_table(entry, add=[frame], gone=pl.col(on).is_in(keys))

    def delete(self, name: str, where: "str | pl.Expr | None" = None, region: "Region | str | None" = None) -> int:
        """Remove the objects for which `where` is true and that lie in `region`, and return how many they were.

        Files and segments without such objects stay untouched. The same objects leave the arrays that the vectors of a
        table became (``NAME_vectors``).

        Raises
        ------
        WhereError, MissingColumnError, RegionError
            If `where` or `region` does not fit the dataset.
        DataRefusedError
            If neither is given.
        """
        entry = self._claim(name)
        source = self._source(entry)
        gone = objects_meant(source, entry, where, region)
        beside = vectors_of(source, self._base.entries)
        theirs = same_objects(source, gone) if beside else None
        if source.is_table:
            self._change_table(entry, gone=gone)
        else:
            pin = delete_from_arrays(source, gone, self.id)
            self._set(name, pin, source.schema, entry.kind, entry.coverage, _edited(entry), like=entry)
        if theirs is not None:
            self.delete(beside, theirs)
        return int(entry.counts.rows - self._changes[name].counts.rows)  # type: ignore[union-attr]

    def compact(self, name: str, rows: int | None = None) -> Compacted | None:
        """Write the small files or segments of a dataset anew as few, in the order of the sky; no object changes.

        Results of the dataset stay up to date. Returns what it came to, None when there was nothing to do.

        Parameters
        ----------
        name
            The dataset.
        rows
            Objects in a new file or segment at most, when the usual number does not suit.
        """
        entry = self._claim(name)
        source = self._source(entry)
        done = compact_source(source, self.id, rows)
        if done is None:
            return None
        pin, told = done
        same = {"same_as": (*entry.same_as, entry.pin.version)}
        self._set(name, pin, source.schema, entry.kind, entry.coverage, same, like=entry)
        return told

    def drop(self, name: str) -> None:
        """Remove a dataset from the catalog; releases and older catalogs keep it."""
        self._claim(name)
        self._changes[name] = None

    def restore(self, name: str, at: int | str) -> None:
        """Bring a dataset back as it was at a catalog number or a release, dropped or changed since, with its vectors.

        Raises
        ------
        VersionNotFoundError
            If there is no such catalog, or a vacuum has removed what the dataset was then.
        DatasetNotFoundError
            If that catalog did not have it.
        """
        # The lock first: a vacuum that is at work on this dataset has ended when its files are looked for.
        self._claim(check_name(name), must_be_as_found=True)
        entry = entry_at(self.lake, name, at)
        self._changes[name] = entry
        beside, older = f"{name}{VECTORS}", self.lake.at(at).catalog
        if beside in older and self._base.entries.get(beside) != older[beside]:
            self.restore(beside, at)

    def describe(
        self,
        name: str,
        *,
        units: Mapping[str, str] | None = None,
        descriptions: Mapping[str, str] | None = None,
        ucds: Mapping[str, str] | None = None,
        force: bool = False,
        **texts: Any,
    ) -> None:
        """Change what is said of a dataset and its columns; no value changes.

        Parameters
        ----------
        name
            The dataset.
        units, descriptions, ucds
            Column -> text. Values are not converted: a unit says in which the values are already.
        force
            Whether a unit may take the place of another one; one that was assumed gives way without.
        **texts
            What `write` takes, wavelength and resolution among them.

        Raises
        ------
        UnitError
            For a unit that is not known, is one of texts, or would take the place of another one without `force`.
        MissingColumnError, DataRefusedError
            For a column or a text that a dataset does not have.
        """
        check_texts(texts)
        entry = self._claim(name)
        told = {"unit": units or {}, "description": descriptions or {}, "ucd": ucds or {}}
        if any(told.values()):
            entry = redescribed(self._source(entry), entry, told, self.id, is_forced=force)
        self._changes[name] = replace(entry, **kept_texts(texts))

    def schedule(self, name: str, rule: Mapping[str, Any] | None) -> None:
        """Keep a schedule in the catalog, or with None remove it."""
        self._schedules[check_name(name, "schedule")] = rule

    # ------------------------------------------------------------------ what ingest calls

    def entry(self, name: str) -> Entry | None:
        """Return the newest entry of a dataset after taking its lock: nobody else changes it before the end."""
        entry: Entry | None = self._claim(name, must_be_as_found=name not in self._base.entries)
        return entry

    # ------------------------------------------------------------------ what runs call

    def publish_table(
        self,
        name: str,
        staged: StagedTable,
        parts: "list[WrittenPart]",
        frame: "pl.DataFrame | None",
        schema: Schema,
        *,
        kept: Collection[str] | None = None,
        **texts: Any,
    ) -> None:
        """Make a dataset of what the workers of a run wrote; `frame` shows its columns (its rows do not count).

        With `kept` (and no `frame`), the dataset is there already, in the same place: of its files, just these stay.
        """
        check_name(name)
        entry = self._claim(name, must_be_as_found=True)
        if kept is None and frame is not None:
            version = tables.settle_table(self._store, staged.path, tables.tableable(frame, name), parts)
        else:
            _check_place(entry, name, staged.path)
            version = tables.renew_table(self._store, staged.path, int(entry.pin.version), parts, kept or ())
        kind, cover = texts.pop("kind", "table"), texts.pop("coverage", "")
        self._set(name, Pin("delta", staged.path, version), schema, kind, cover, texts)

    def publish_arrays(
        self,
        name: str,
        staged: StagedArrays,
        snapshot: str,
        schema: Schema,
        *,
        upon: Collection[int | str] | None = None,
        **texts: Any,
    ) -> None:
        """Make a dataset of the arrays that the workers of a run wrote.

        With `upon`, the dataset is there already, in the same place, and must be at one of these snapshots.
        """
        check_name(name)
        entry = self._claim(name, must_be_as_found=True)
        if upon is not None:
            _check_place(entry, name, staged.path)
            if entry.pin.version not in upon:
                raise _changed_meanwhile(name)
        kind, cover = texts.pop("kind", "result"), texts.pop("coverage", "")
        source = Source(self._store, name, kind, Pin("icechunk", staged.path, snapshot), schema.digest)
        source.axes()
        # One axis for all is small, and every segment has it; a grid for each object is not looked through here.
        has_axis = "wavelength" in schema and schema["wavelength"].dims == ("wavelength",) and source.parts
        axis = source.open_segment(source.parts[0], None, ["wavelength"]) if has_axis else None
        self._set(name, source.pin, schema, kind, cover, texts, axis)

    def new_path(self, name: str, engine: str) -> str:
        """Return where a new dataset of that name rests: creating or replacing one makes a new place.

        Its lock is taken, so that no vacuum removes what is written there.
        """
        self._claim(name, must_be_as_found=True)
        return f"data/{name}/{uuid.uuid4().hex[:12]}/{engine}"

    # ------------------------------------------------------------------ publishing

    def publish(self) -> int | None:
        """Publish the changes as one commit and return its number; with nothing to publish, None."""
        if not self._changes and not self._schedules:
            return None
        created = datetime.now(UTC).isoformat(timespec="milliseconds")

        def build(top: Catalog, number: int) -> Catalog:
            told = {name: _verb(top.entries.get(name), entry) for name, entry in self._changes.items()}
            commit = Commit(number, self.id, created, self.message, told)
            entries = dict(top.entries)
            for name, entry in self._changes.items():
                if entry is None:
                    entries.pop(name, None)
                    continue
                before = top.entries.get(name)
                entries[name] = replace(entry, created=before.created if before else number, changed=number)
            schedules = {**top.schedules, **self._schedules}
            kept = {name: rule for name, rule in schedules.items() if rule is not None}
            return Catalog(commit, dict(sorted(entries.items())), kept)

        self.commit_number = chain.publish(self._store, self._base, set(self._changes), build).number
        return self.commit_number

    def close(self) -> None:
        """Let go of the locks."""
        self._held.close()

    # ------------------------------------------------------------------ parts of the above

    @property
    def _store(self) -> Any:
        return self.lake.store

    def _claim(self, name: str, *, must_be_as_found: bool = False) -> Any:
        """Take the lock of a dataset and return its newest entry (or what this transaction made of it)."""
        if name in self._changes:
            entry = self._changes[name]
            if entry is None and not must_be_as_found:
                raise DatasetNotFoundError(
                    f"{name!r} was dropped in this transaction", hint="Write it anew, or do not drop it."
                )
            return entry
        check_name(name)
        if name not in self._locked:
            # Whoever waits holds names before this one only, so that no two wait for one another; out of order, the
            # wait is short.
            patience = None if all(name > other for other in self._locked) else SHORT_PATIENCE
            self._held.enter_context(locked(self._store, f"dataset-{name}", patience=patience))
            self._locked.add(name)
        newest = chain.load_catalog(self._store, chain.newest_number(self._store, self._base.number))
        found, now = self._base.entries.get(name), newest.entries.get(name)
        if must_be_as_found:
            if found != now:
                raise ConflictError(
                    f"{name!r} changed since this transaction began",
                    where=f"catalog {newest.number}, {newest.commit.message or 'no message'}",
                    hint="Nothing of this transaction was published. Look at the new state and do it again.",
                )
            return now
        if now is None:
            raise DatasetNotFoundError(
                f"there is no dataset {name!r}",
                where=self._store.url,
                hint=did_you_mean(name, newest.entries, "Create it with tx.write(name, data)."),
            )
        # Taking turns: what the one before us committed is what we build upon.
        self._base = replace(self._base, entries={**self._base.entries, name: now})
        return now

    def _source(self, entry: Entry) -> Source:
        return Source.of(self._store, entry)

    def _table_source(self, entry: Entry, verb: str) -> Source:
        source = self._source(entry)
        if not source.is_table:
            raise DataRefusedError(
                f"{entry.name!r} keeps arrays", expected="a table", hint=f"To {verb} objects, write the dataset anew."
            )
        return source

    def _change_table(self, entry: Entry, add: "Sequence[pl.DataFrame]" = (), gone: "pl.Expr | None" = None) -> None:
        import polars as pl

        source = self._source(entry)
        version = change_rows(source, entry.pin, add, gone)
        if version is None:
            self._changes[entry.name] = self._changes.get(entry.name, entry)
            return
        cover = entry.coverage
        if cover and add:
            cover = joined_coverage(entry, pl.concat(add))
        pin = replace(entry.pin, version=version)
        self._set(entry.name, pin, source.schema, entry.kind, cover, _edited(entry), like=entry)

    def _write_group(self, pin: Pin, data: "xr.Dataset", number: int) -> Pin:
        """Write a Dataset as a segment on a branch from the pinned snapshot, and return the new pin."""
        at = arrays.ArraysAt(self._store, pin.path)
        snapshot = str(pin.version) or arrays.create_arrays(at)
        # A branch a step: a dataset may be changed twice in one transaction.
        branch = f"txn-{self.id}-{uuid.uuid4().hex[:8]}"
        arrays.begin_branch(at, branch, snapshot)
        with arrays.writing(at, branch) as session:
            arrays.add_group(session, tables.new_segment(number), data, f"dataset {pin.path.split('/')[1]!r}")
            return replace(pin, version=arrays.commit(at, session, self.message or "hven"))

    def _set(
        self,
        name: str,
        pin: Pin,
        columns: Schema,
        kind: str,
        cover: str,
        texts: Mapping[str, Any],
        data: "xr.Dataset | None" = None,
        like: Entry | None = None,
    ) -> None:
        if kind not in KINDS:
            raise DataRefusedError(f"{kind!r} is no kind of dataset", expected=", ".join(KINDS), hint="Choose one.")
        self._store.put(schema_key(columns.digest), columns.to_json())
        parts = Source(self._store, name, kind, pin, columns.digest).parts
        size = sum(p.bytes for p in parts)
        if pin.engine == "icechunk":  # It does not tell the size of one snapshot: what the repository takes up is told.
            size = sum(count for _, count in self._store.ages(pin.path).values())
        counts = Counts(sum(p.rows for p in parts), size, len({p.segment for p in parts}))
        if like is not None:
            told = {"same_as": (), **texts}
            # A quality sheet is of the rows of before, unless these have only moved.
            known = {k: v for k, v in told.get("provenance", like.provenance).items() if k != "quality"}
            told |= {} if told["same_as"] else {"provenance": known}
            self._changes[name] = replace(like, pin=pin, counts=counts, coverage=cover, **told)
            return
        self._changes[name] = Entry(
            name,
            kind,
            pin,
            columns.digest,
            counts,
            columns.names,
            tuple(dict.fromkeys(column.unit for column in columns)),
            coverage=cover,
            **{"wavelength": wavelength_of(data), "resolution": resolution_of(columns.attrs, data)} | kept_texts(texts),
        )


@contextmanager
def transaction(lake: "Lake", message: str) -> Iterator[Transaction]:
    """Give a transaction; publish it when the block ends well, publish nothing when it raises."""
    if lake.is_pinned:
        raise ReadOnlyError(
            "this view of the lake is pinned to one commit", where=lake.url, hint="Write through hven.open(url)."
        )
    tx = Transaction(lake, message)
    try:
        yield tx
        tx.publish()
    finally:
        tx.close()


def _check_place(entry: Entry | None, name: str, path: str) -> None:
    if entry is None or entry.pin.path != path:
        raise _changed_meanwhile(name)


def _changed_meanwhile(name: str) -> ConflictError:
    return ConflictError(
        f"{name!r} was replaced or changed while its update was computed",
        hint="Nothing of this run was published. Run it again.",
    )


def _edited(entry: Entry) -> dict[str, Any]:
    """Return that a result which is changed by hand is no longer what its run made."""
    return {"provenance": {**entry.provenance, "edited": True}} if "run" in entry.provenance else {}


def _verb(before: Entry | None, after: Entry | None) -> str:
    return "dropped" if after is None else "changed" if before else "created"

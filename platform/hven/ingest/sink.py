"""Where an ingest goes: the datasets of one transaction, written segment by segment."""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hven.errors import DataRefusedError, NameRefusedError
from hven.ingest.fitting import Like, fitted, outline_in_lake, unit_notes, widened
from hven.ingest.known_ids import KnownIds
from hven.ingest.merging import arranged, array_digests, merged
from hven.ingest.normalise import Rows
from hven.ingest.object_ids import object_ids
from hven.lake import FILE, HIDDEN, GrowingArrays, GrowingTable, grow, settle
from hven.schema import Quality, Schema, check_name, merged_quality, quality_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from hven.catalog import Entry
    from hven.lake import Lake, Source, Transaction

Mode = Literal["create", "append", "upsert", "replace"]


@dataclass(frozen=True)
class Written:
    """One segment of each dataset, which does not belong to any before the end.

    Attributes
    ----------
    segments
        Its name, by part.
    rows
        How many objects it has.
    repeats
        How many of them say of an object what this ingest says already.
    overlaps
        How many say of an object that is in the dataset.
    gone
        Ids of objects of the dataset that they replace, int64.
    nulls
        How many values are null, by column.
    quality
        The quality sheet of its table of objects.
    """

    segments: Mapping[str, str]
    rows: int
    repeats: int
    overlaps: int
    gone: "NDArray[np.int64]"
    nulls: Mapping[str, int]
    quality: Quality


@dataclass
class Sink:
    """The datasets that rows go into: one of objects, and one for each further part.

    Attributes
    ----------
    lake, tx, name, mode
        The lake, a transaction on it, the name of the dataset of objects, and whether to create, append or replace.
    names
        The datasets by part, once rows have come.
    like
        What rows have to look like, once some have come.
    entry
        What the dataset is before; None when it is created or replaced.
    written
        The segments, in their order.
    """

    lake: "Lake"
    tx: "Transaction"
    name: str
    mode: Mode
    names: dict[str, str] = field(default_factory=dict)
    like: Like | None = None
    entry: "Entry | None" = None
    written: list[Written] = field(default_factory=list)
    _growths: dict[str, GrowingTable | GrowingArrays] = field(default_factory=dict)
    _shapes: dict[str, tuple[Schema, Any]] = field(default_factory=dict)
    _kinds: dict[str, str] = field(default_factory=dict)
    _has_identity: bool = False
    _mine: KnownIds = field(default_factory=KnownIds)
    _base: KnownIds | None = None
    _gone_files: dict[int, "NDArray[np.int64]"] = field(default_factory=dict)

    @property
    def adds(self) -> bool:
        """Whether there is a dataset that rows are added to."""
        return self.mode in ("append", "upsert")

    def begin(self) -> None:
        """Refuse a name that does not suit the mode, before anything is read, and take the lock of the dataset.

        Raises
        ------
        NameRefusedError
            If a dataset to be created is there already.
        DatasetNotFoundError
            If one to be appended to is not.
        """
        self._check([self.name])
        found = self.tx.entry(self.name)
        self.entry = found if self.adds else None
        if self.mode == "upsert" and found is not None and not found.identity:
            raise DataRefusedError(
                "nothing says which columns tell the objects apart, so that rows could replace others",
                where=f"dataset {self.name!r}",
                hint="Ingest the dataset anew with the option identity of its reader, or use mode 'append'.",
            )

    def take(self, rows: Rows, kinds: Mapping[str, str], *, has_identity: bool) -> Rows:
        """Return rows as they can go in, and widen what the datasets hold by them; nothing is written yet.

        Parameters
        ----------
        rows
            Of a file.
        kinds
            Of its parts.
        has_identity
            Whether the file names the columns that tell objects apart; otherwise all do.

        Raises
        ------
        DataRefusedError
            If they do not fit what came before.
        """
        if self.like is None:
            names = dataset_names(self.name, rows)
            self._check(names.values())
            if self.adds:
                self._check_parts(names)
                outline = outline_in_lake(self.lake, self.name, rows, names)
                like = Like(outline, fixed=frozenset(outline.objects.columns))
            else:
                like = Like.of(rows)
            self.like, self.names, self._kinds = widened(like, rows), names, dict(kinds)
            self._has_identity = has_identity
        else:
            like = self.like
            self.like = widened(like, rows)
        rows = replace(rows, notes=(*rows.notes, *unit_notes(rows, like)))
        return fitted(rows, self.like) if self.adds else rows

    def write(self, several: list[tuple[int, Rows]]) -> Written:
        """Write rows, with the number of the file that each is from, as one segment of each dataset.

        Parameters
        ----------
        several
            The rows. The list is emptied when they have been put in order: no one else's copy of them is kept.

        Raises
        ------
        DataRefusedError
            If they cannot be kept; nothing of them is.
        """
        like = self._like
        rows = merged([fitted(one, like) for _, one in several])
        files = np.repeat(
            np.array([number for number, _ in several], np.int32), [one.objects.height for _, one in several]
        )
        nulls = {series.name: series.null_count() for series in rows.objects.iter_columns()}
        ids, told = self._numbered(rows)
        segments: dict[str, str] = {}
        try:
            # Arrays are put in order, and columns summed up, while the table is written.
            with ThreadPoolExecutor(3) as aside:
                ordered = arranged(rows, ids, files, aside)
                shown = [name for name in rows.objects.columns if name != "_healpix_29"]
                sheet = aside.submit(quality_of, ordered.objects.select(shown), like.outline.columns)
                # Unordered rows are as large as the segment: 70 MB that writing it does not need.
                several.clear()
                del rows
                self._add(ordered, segments, aside)
                quality = sheet.result()
        except BaseException:
            self._forget(segments)
            raise
        written = Written(segments, len(ids), **told, nulls=nulls, quality=quality)
        self._mine.add(ids)
        if len(written.gone):
            self._known.remove(written.gone)
        if self._has_identity and not like.fixed:
            # From now on a number is no fraction in the columns that ids are made from, or they would be others.
            self.like = replace(like, fixed=frozenset(ordered.identity))
        self.written.append(written)
        return written

    def state(self) -> tuple[int, KnownIds]:
        """Return where the ingest stands, for `go_back`."""
        return len(self.written), self._mine.copy()

    def go_back(self, state: tuple[int, KnownIds]) -> None:
        """Take back the segments that were written since."""
        count, self._mine = state
        for written in self.written[count:]:
            self._forget(written.segments)
            if len(written.gone):
                self._known.add(written.gone)
        del self.written[count:]

    def replace_files(self, numbers: Iterable[int]) -> None:
        """Give free what came from files that are read again: their rows go when the ingest ends well."""
        for number, ids in self._ids_of_files(set(numbers)).items():
            self._gone_files[number] = ids
            self._known.remove(ids)

    def keep_files(self, numbers: Iterable[int]) -> None:
        """Take back `replace_files`: what came from these files stays."""
        for number in numbers:
            if number in self._gone_files:
                self._known.add(self._gone_files.pop(number))

    def settle(self) -> None:
        """Make what was written part of the datasets; the commit of the transaction then shows it."""
        gone = np.concatenate([np.empty(0, np.int64), *(w.gone for w in self.written), *self._gone_files.values()])
        for part in self.names:
            growth = self._growths[part]
            schema, bare = self._shapes[part]
            if isinstance(growth, GrowingArrays):
                kind = self._kinds.get(part)
                settle(self.tx, growth, schema, None if kind == "table" else kind, gone=gone, bare=bare)
                continue
            types = self._types(part) if growth.source is None else None
            if types is not None:
                schema = Schema.of_frame(_empty(types), schema)
            masks = _rows_of(growth.source, gone) if growth.source is not None and len(gone) else {}
            settle(self.tx, growth, schema, "table", types=types, gone=masks)

    @property
    def rows(self) -> int:
        """How many objects went in."""
        return sum(written.rows for written in self.written)

    @property
    def nulls(self) -> dict[str, int]:
        """How many values are null, by column; only columns that have any."""
        counts: Counter[str] = Counter()
        for written in self.written:
            counts.update(written.nulls)
        return {name: count for name, count in counts.items() if count}

    @property
    def quality(self) -> Quality:
        """The quality sheet of the rows that went in."""
        return merged_quality(written.quality for written in self.written)

    @property
    def removes(self) -> bool:
        """Whether rows that are there go."""
        return any(len(written.gone) for written in self.written) or any(map(len, self._gone_files.values()))

    # ------------------------------------------------------------------ parts of the above

    @property
    def _like(self) -> Like:
        assert self.like is not None  # noqa: S101 - rows are taken before they are written
        return self.like

    @property
    def _known(self) -> KnownIds:
        """The ids of the objects that are in the dataset, and stay; read when they are first needed."""
        if self._base is None:
            self._base = KnownIds()
            if self.adds:
                source = self.lake[self.name].source
                for part in source.parts:
                    self._base.add(source.scan([part]).select("object_id").collect().to_series().to_numpy())
        return self._base

    def _check(self, names: Iterable[str]) -> None:
        for name in names:
            check_name(name)
            if self.adds:
                self.lake[name]
            elif self.mode == "create" and name in self.lake:
                raise NameRefusedError(
                    f"there is a dataset {name!r} already",
                    where=self.lake.url,
                    hint="Choose another name, or mode 'append' to add to it, or mode 'replace' to replace it.",
                )

    def _check_parts(self, names: Mapping[str, str]) -> None:
        """Refuse files without what the objects of the dataset have beside the table, or with more."""
        known = self.entry.provenance.get("parts") if self.entry is not None else None
        if known is not None and set(known) != {part for part in names if part}:
            raise DataRefusedError(
                f"beside the table the file brings {', '.join(part for part in names if part) or 'nothing'}",
                expected=f"{', '.join(known) or 'nothing'}, as the files before",
                hint="Ingest these files into a dataset of their own.",
            )

    def _growth(self, part: str, data: Any) -> GrowingTable | GrowingArrays:
        if part not in self._growths:
            is_table = not hasattr(data, "data_vars")
            self._growths[part] = grow(self.tx, self.names[part], table=is_table, anew=not self.adds)
            if is_table:
                shown = data.drop(HIDDEN, strict=False)
                self._shapes[part] = Schema.of_frame(shown, self._like.outline.columns), None
            else:
                shown = data.drop_vars(HIDDEN, errors="ignore")
                self._shapes[part] = Schema.of_dataset(shown), shown.isel(object=slice(0, 0)).copy(deep=True)
        return self._growths[part]

    def _types(self, part: str) -> "pl.Schema":
        import polars as pl

        held = self._like.outline.parts[part].schema if part else self._like.types
        return pl.Schema({"object_id": pl.Int64(), **{name: t for name, t in held.items() if name != "object_id"}})

    def _add(self, rows: Rows, segments: dict[str, str], aside: ThreadPoolExecutor) -> None:
        """Write one segment of each dataset, and note their names; tables are written beside arrays."""
        tables: dict[str, Future[str]] = {}
        try:
            for part in self.names:
                held: Any = rows.parts.get(part, rows.objects)
                data = held.result() if isinstance(held, Future) else held
                growth = self._growth(part, data)
                if isinstance(growth, GrowingTable) and len(self.names) > 1:
                    tables[part] = aside.submit(growth.add, data)
                else:
                    segments[part] = growth.add(data)
        finally:
            # Also when others fail: what is written then has a name to be forgotten by.
            segments |= {part: table.result() for part, table in tables.items() if table.exception() is None}
        for table in tables.values():
            table.result()

    def _forget(self, segments: Mapping[str, str]) -> None:
        for part, segment in segments.items():
            self._growths[part].drop(segment)

    def _numbered(self, rows: Rows) -> "tuple[NDArray[np.int64], dict[str, Any]]":
        """Return the ids of rows, and what is to be told of them."""
        import polars as pl

        none = np.empty(0, np.int64)
        if "object_id" in rows.objects.columns:
            return self._own_ids(rows.objects["object_id"].to_numpy())
        identity = rows.objects.select(rows.identity)
        content = rows.objects.with_columns(array_digests(identity, rows.parts))
        known = [self._known, self._mine]
        made = object_ids(identity, content, known)
        in_lake, in_ingest = made.first_taken
        # Rows without any identity are objects of their own: nothing says that two of them are one.
        is_known = ~identity.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
        is_there = in_lake & is_known
        repeat = (in_ingest | (made.number > 0)) & is_known
        if not self._has_identity and any(hasattr(part, "data_vars") for part in rows.parts.values()):
            # Nothing but their content tells rows apart, and of that the arrays were compared with those beside only.
            repeat &= ~content.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
            is_there[:] = False
        told = {
            "repeats": int(np.count_nonzero(repeat)),
            "overlaps": int(np.count_nonzero(is_there)),
            "gone": none,
        }
        if self.mode != "upsert" or not is_there.any():
            return made.ids, told
        ids, told["gone"] = self._replacing(identity, made.number, is_there)
        rest = ids < 0
        if rest.any():
            fresh = object_ids(identity.filter(rest), content.filter(rest), [*known, KnownIds(ids[~rest])])
            ids[rest] = fresh.ids
        return ids, told

    def _replacing(
        self, identity: "pl.DataFrame", number: "NDArray[np.int64]", is_there: "NDArray[np.bool_]"
    ) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """Return for each row the id of the row of the same identity that it replaces, or -1; and all ids that go."""
        import polars as pl

        names = identity.columns
        keys = identity.filter(is_there).unique()
        lazy = self.lake[self.name].table(["object_id", *names])
        old = lazy.join(keys.lazy(), on=names, how="semi", nulls_equal=True).collect().sort("object_id")
        old = old.with_columns(pl.int_range(pl.len()).over(names).alias("\x00number"))
        new = identity.with_columns(pl.Series("\x00number", number)).join(
            old, on=[*names, "\x00number"], how="left", nulls_equal=True, maintain_order="left"
        )
        return new["object_id"].fill_null(-1).to_numpy().copy(), old["object_id"].to_numpy()

    def _own_ids(self, ids: "NDArray[np.int64]") -> "tuple[NDArray[np.int64], dict[str, Any]]":
        is_there = self._known.contain(ids)
        told = {"repeats": 0, "overlaps": int(np.count_nonzero(is_there)), "gone": np.empty(0, np.int64)}
        if self.mode == "upsert":
            told["gone"] = ids[is_there]
            is_there = np.zeros(len(ids), bool)
        is_there |= self._mine.contain(ids)
        if is_there.any() or len(np.unique(ids)) < len(ids):
            raise DataRefusedError(
                f"{max(int(is_there.sum()), 1):,} rows have an object_id that is in the dataset already"
                + (f", for example {ids[is_there][0]}" if is_there.any() else ""),
                expected="an object_id that names each row once",
                hint="Use mode 'upsert' to replace the rows that are there, or another name for the column.",
            )
        return ids, told

    def _ids_of_files(self, numbers: set[int]) -> "dict[int, NDArray[np.int64]]":
        import polars as pl

        if not numbers:
            return {}
        source = self.lake[self.name].source
        wanted = pl.Series(sorted(numbers), dtype=pl.Int32)
        rows = pl.concat(
            [source.read_files(part).filter(pl.col(FILE).is_in(wanted.implode())) for part in source.parts]
        )
        return {number: rows.filter(pl.col(FILE) == number)["object_id"].to_numpy() for number in numbers}


def dataset_names(name: str, rows: Rows) -> dict[str, str]:
    """Return the names of the datasets that rows become, by part.

    Examples
    --------
    >>> import polars as pl
    >>> dataset_names("apogee", Rows(pl.DataFrame(), {"xp_spectra": pl.DataFrame()}, {}, ()))
    {'': 'apogee', 'xp_spectra': 'apogee_xp_spectra'}
    """
    parts = ["", *(part for part in rows.parts if part)]
    return {part: check_name(f"{name}_{part}" if part else name) for part in parts}


def _empty(types: "pl.Schema") -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(schema=types)


def _rows_of(source: "Source", ids: "NDArray[np.int64]") -> "dict[Any, NDArray[np.bool_]]":
    """Return which rows of each file of a table have one of these ids; only files that have any."""
    gone = KnownIds(ids)
    masks: dict[Any, NDArray[np.bool_]] = {}
    for part in source.parts:
        mask = gone.contain(source.scan([part]).select("object_id").collect().to_series().to_numpy())
        if mask.any():
            masks[part] = mask
    return masks

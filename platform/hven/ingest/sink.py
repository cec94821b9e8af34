"""Where an ingest goes: the datasets of one transaction, written segment by segment."""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hven.errors import NameRefusedError
from hven.ingest.merging import COPIED, arranged
from hven.ingest.normalise import MADE, Rows
from hven.schema import Schema, check_name

if TYPE_CHECKING:
    from hven.lake import Lake
    from hven.lake.transaction import Transaction

Mode = Literal["create", "append", "replace"]


@dataclass
class Sink:
    """The datasets that rows go into: one of objects, and one for each further part.

    Attributes
    ----------
    lake, tx, name, mode
        The lake, a transaction on it, the name of the dataset of objects, and whether to create, append or replace.
    names
        The datasets by part, once something was written.
    like
        What rows have to look like, once something is written.
    nulls, rows, repeats
        What was counted.
    """

    lake: "Lake"
    tx: "Transaction"
    name: str
    mode: Mode
    names: dict[str, str] = field(default_factory=dict)
    like: Rows | None = None
    nulls: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    repeats: int = 0
    _taken: list["np.ndarray[Any, Any]"] = field(default_factory=list)

    def check(self, names: Iterable[str]) -> None:
        """Refuse names that do not suit the mode, before anything is read or written.

        Raises
        ------
        NameRefusedError
            If a dataset to be created is there already.
        DatasetNotFoundError
            If one to be appended to is not.
        """
        for name in names:
            check_name(name)
            if self.mode == "append":
                self.lake[name]
            elif self.mode == "create" and name in self.lake:
                raise NameRefusedError(
                    f"there is a dataset {name!r} already",
                    where=self.lake.url,
                    hint="Choose another name, or mode 'append' to add to it, or mode 'replace' to replace it.",
                )

    def expects(self, rows: Rows) -> Rows | None:
        """Return what rows such as these have to look like; None when anything will do."""
        if self.like is None and self.mode == "append":
            self.like = _written(self.lake, self.name, rows)
        return self.like

    def write(self, rows: Rows, kinds: Mapping[str, str]) -> None:
        """Write rows as one segment of each dataset; `kinds` are those of the parts."""
        is_first = not self.names
        if is_first:
            self._begin(rows)
        self.repeats += rows.objects.height - rows.objects.select(rows.identity).n_unique() if rows.identity else 0
        is_new, like = is_first and self.mode != "append", self.like or _outline(rows)
        # Arrays are put in order while the table is written.
        with ThreadPoolExecutor(1) as aside:
            rows = arranged(rows, np.concatenate(self._taken) if self._taken else None, aside)
            for part, dataset in self.names.items():
                told: Any = rows.parts.get(part, rows.objects)
                data = told.result() if isinstance(told, Future) else told
                if not is_new:
                    self.tx.append(dataset, data)
                elif hasattr(data, "data_vars"):
                    kind = kinds.get(part)
                    self.tx.write(dataset, data, kind=None if kind == "table" else kind)
                else:
                    self.tx.write(dataset, data, kind="table", schema=Schema.of_frame(data, rows.columns))
        self._taken.append(rows.objects["object_id"].to_numpy())
        self.nulls.update({series.name: series.null_count() for series in rows.objects.iter_columns()})
        self.rows += rows.objects.height
        self.like = like

    def _begin(self, rows: Rows) -> None:
        self.names = dataset_names(self.name, rows)
        self.check(self.names.values())
        if self.mode == "append":
            self._taken.append(self.lake[self.name].table(["object_id"]).collect()["object_id"].to_numpy())


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


def _outline(rows: Rows) -> Rows:
    """Return rows without any object, that say what others have to look like."""
    has_own_id = "object_id" in rows.identity
    objects = rows.objects.clear() if has_own_id else rows.objects.clear().drop("object_id", strict=False)
    parts = {part: _bare(data, whole=not part) for part, data in rows.parts.items()}
    return Rows(objects, parts, rows.columns, rows.identity)


def _written(lake: "Lake", name: str, rows: Rows) -> Rows:
    """Return the outline of what stands in the lake under the names that `rows` would get."""
    handle = lake[name]
    objects = handle.table().head(0).collect()
    if "object_id" not in rows.objects.columns:
        objects = objects.drop("object_id", strict=False)
    parts: dict[str, Any] = {}
    for part, dataset in dataset_names(name, rows).items():
        if part and hasattr(rows.parts[part], "data_vars"):
            parts[part] = _bare(lake[dataset].dataset(), whole=False)
        elif part:
            parts[part] = lake[dataset].table().head(0).collect().drop("object_id", strict=False)
    if "" in rows.parts:
        parts[""] = _bare(handle.dataset(), whole=True)
    identity = handle.entry.identity or tuple(c for c in objects.columns if c not in MADE)
    return Rows(objects, parts, {}, identity)


def _bare(data: Any, *, whole: bool) -> Any:
    """Return the axes of a part and none of its objects, without what was copied into it from the table of objects."""
    if not hasattr(data, "data_vars"):
        return data.clear().drop("object_id", strict=False)
    own = [name for name, v in data.variables.items() if v.dims == ("object",) and (whole or name in COPIED)]
    return data.drop_vars(own).isel(object=slice(0, 0))

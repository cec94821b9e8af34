"""Staged datasets: what the workers of a run write, block by block, before one commit makes it a dataset."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hven.lake import arrays, tables
from hven.lake.store import Store
from hven.lake.tables import WrittenPart
from hven.lake.validation import check_arrays, check_frame
from hven.schema import Schema

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr


@dataclass(frozen=True)
class StagedTable:
    """A table that is being written by a run, and that no catalog knows. Travels to workers.

    Attributes
    ----------
    store, path
        Where it will rest.
    """

    store: Store
    path: str

    def write(self, segment: str, key: str, frame: "pl.DataFrame") -> WrittenPart:
        """Write the rows of one block as one file, under a new name at every attempt, and return what it is.

        Raises
        ------
        DataRefusedError
            For positions that are none, ids that are no numbers, and types that tables do not keep.
        """
        kept = tables.tableable(frame, self.path)
        check_frame(kept, Schema.of_frame(kept), "the result")
        return tables.write_part(self.store, self.path, segment, key, kept)


@dataclass(frozen=True)
class StagedArrays:
    """Arrays that are being written by a run, on a branch of their own repository.

    Attributes
    ----------
    store, path
        Where they will rest.
    branch
        The run's own branch.
    """

    store: Store
    path: str
    branch: str

    @property
    def at(self) -> arrays.ArraysAt:
        """The repository."""
        return arrays.ArraysAt(self.store, self.path)

    def begin(self, snapshot: str = "") -> str:
        """Make the branch, at a snapshot that was committed before or in a new repository, and return the snapshot."""
        import zarr

        if snapshot:
            arrays.begin_branch(self.at, self.branch, snapshot)
            return snapshot
        arrays.begin_branch(self.at, self.branch, arrays.create_arrays(self.at))
        with self.session() as session:
            # Forks may each add groups below the root, but only one writer may make the root itself.
            zarr.create_group(session.store)
            return arrays.commit(self.at, session, "root")

    def keep_only(self, groups: Collection[str]) -> str:
        """Remove all other segments, commit that on the run's branch, and return the snapshot."""
        with self.session() as session:
            arrays.remove_groups(session, groups)
            return arrays.commit(self.at, session, "what was withdrawn or replaced")

    def session(self) -> AbstractContextManager[Any]:
        """Give a writable session; its forks go to workers, come back, and are merged before `commit`."""
        return arrays.writing(self.at, self.branch)

    def write(self, fork: Any, segment: str, data: "xr.Dataset") -> Any:
        """Write one block as a segment into a fork, and return the fork: forgetting it would lose the block.

        Raises
        ------
        DataRefusedError
            For what cannot be kept: axes that do not ascend, ids that are no numbers, values that cannot be.
        """
        check_arrays(data, "result", "the result")
        arrays.add_group(fork, segment, data, "the result")
        return fork

    def commit(self, session: Any, forks: Sequence[Any], message: str) -> str:
        """Merge what workers returned, commit it on the run's branch, and return the snapshot."""
        if forks:
            session.merge(*forks)
        return arrays.commit(self.at, session, message)

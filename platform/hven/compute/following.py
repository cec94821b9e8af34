"""What a computation in the driver says of itself while it goes on, and the files that it keeps in its run's folder."""

from collections.abc import Callable

from hven.compute.records import Run
from hven.schema import check_name

_FOLDER = "kept"


class RunFollower:
    """Follows what an analysis of everything at once computes (see `hven.methods.progress`).

    Parameters
    ----------
    run
        Whose folder has the files: an attempt that goes on has the folder of the one before.
    heard
        Called with how far it is, and a few words.
    """

    def __init__(self, run: Run, heard: Callable[[int, int, str], None]) -> None:
        self._run, self._heard = run, heard

    def tell(self, done: int, total: int, text: str) -> None:
        """Tell those who listen to the run."""
        self._heard(done, total, text)

    def keep(self, name: str, content: bytes) -> None:
        """Keep a file in the run's folder."""
        self._run.put(f"{_FOLDER}/{check_name(name, 'file')}", content)

    def kept(self, name: str) -> bytes | None:
        """Return a file that this or an earlier attempt at the run kept."""
        return self._run.lake.store.get_or_none(f"{self._run.folder}/{_FOLDER}/{check_name(name, 'file')}")

    def forget(self) -> None:
        """Remove all that was kept: the result is published."""
        store = self._run.lake.store
        store.delete(*store.list(f"{self._run.folder}/{_FOLDER}"))

"""Forecasts: what a block will take in memory and time, from a block that was measured, or from the run before."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hven.compute.records import Run, runs_of_output
from hven.compute.task import BlockTask, Measured, measure_block, pack
from hven.compute.window import WorkerLost, each_outcome
from hven.errors import ClusterError, TooLittleMemoryError

if TYPE_CHECKING:
    from hven.compute.clusters import Cluster
    from hven.compute.work import Work

_IDLE = 300 * 2**20
"""Bytes of a worker with the libraries loaded, when nobody has looked."""
_COPIES = 3
"""How often a block's inputs are in memory at once, when nobody has looked: as read, as bound, and as worked on."""
FILLED = 0.85
"""The part of a worker's memory that a block may fill: above it, the worker is slowed down, and then killed."""


@dataclass(frozen=True)
class Forecast:
    """What blocks take.

    Attributes
    ----------
    idle
        Bytes of memory of a worker at rest.
    per_row
        Bytes of memory for each object of a block.
    seconds_per_row
        Time on one worker for each object; None when it is not known.
    bytes_out_per_row
        Bytes written for each object; None when it is not known.
    known_from
        Where this is known from, in words.
    """

    idle: int
    per_row: float
    seconds_per_row: float | None
    bytes_out_per_row: float | None
    known_from: str

    def peak(self, rows: int) -> int:
        """Return the bytes of memory of a worker with a block of so many objects."""
        return int(self.idle + self.per_row * rows)

    def fitting(self, memory: int) -> int:
        """Return how many objects a block may have on a worker with so many bytes of memory; 0 when none fits.

        Examples
        --------
        >>> Forecast(100, 2.0, None, None, "a guess").fitting(1_000)
        375
        """
        return max(int((FILLED * memory - self.idle) / max(self.per_row, 1e-9)), 0)


def forecast(work: "Work", bytes_of_object: int) -> Forecast:
    """Return what the blocks of some work take: as in the newest run of the same, else by the size of the inputs."""
    request = work.request
    version = [request.analysis.name, request.analysis.version]
    for run in runs_of_output(request.lake, request.output):
        told = run.record
        is_same = [told["analysis"]["name"], told["analysis"]["version"]] == version
        if is_same and told.get("memory", {}).get("grown") and run.rows["in"]:
            return _of_run(run)
    return Forecast(_IDLE, _COPIES * bytes_of_object, None, None, "the size of the inputs")


def measured_forecast(work: "Work", cluster: "Cluster") -> Forecast:
    """Return what blocks take, measured on the largest one that is to be computed, on a worker; nothing is kept of it.

    Raises
    ------
    ClusterError
        If the worker dies under it.
    """
    request, todo = work.request, work.todo
    largest = max(todo, key=lambda block: block.rows)
    task = pack(BlockTask(request.analysis, request.parameters, request.inputs))
    ((_, told),) = each_outcome(cluster, lambda block: (measure_block, task, block), [largest], lambda: 1)
    if isinstance(told, WorkerLost):
        raise ClusterError(
            f"a worker died under the block that was measured, of {largest.rows:,} objects",
            hint="Most likely it needs more memory than a worker has: use smaller blocks (block_rows).",
        )
    measured: Measured = told
    rows = measured.rows
    per_row = max(measured.peak - measured.idle, 0) / rows
    return Forecast(
        measured.idle, per_row, measured.seconds / rows, measured.bytes_out / rows, f"a measured block of {rows:,}"
    )


def check_fits(work: "Work", told: Forecast, cluster: "Cluster") -> int:
    """Return how many objects a block may have on these workers: no more than there are, fewer when they do not fit.

    Raises
    ------
    TooLittleMemoryError
        If not even one object would fit.
    """
    largest = max((block.rows for block in work.todo), default=0)
    if not cluster.memory or told.peak(largest) <= FILLED * cluster.memory:
        return work.rows
    rows = told.fitting(cluster.memory)
    if rows < 1:
        raise TooLittleMemoryError(
            f"a worker has {cluster.memory / 1e6:,.0f} MB of memory, and takes {told.peak(1) / 1e6:,.0f} MB with one "
            "object",
            where=f"analysis {work.request.analysis.name!r}, known from {told.known_from}",
            hint="Start fewer workers on the same machine, or workers with more memory.",
        )
    grain = max((block.part.grain for block in work.todo), default=1)
    return rows // grain * grain or rows


def _of_run(run: Run) -> Forecast:
    told, rows = run.record, max(run.rows["in"], 1)
    memory = told["memory"]
    in_block = min(int(told["block_rows"]), rows)
    size = sum(handle.entry.counts.bytes for handle in run.results.values()) if run.commit is not None else 0
    computed = max(rows - told.get("stayed", 0), 1)
    return Forecast(
        memory["idle"],
        memory["grown"] / in_block,
        told["work"] / computed,
        size / rows if size else None,
        f"run {run.id}",
    )

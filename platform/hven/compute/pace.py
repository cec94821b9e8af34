"""The pace of a run: how many blocks one task takes on, so that handing tasks over costs next to nothing.

A task costs scheduler, worker and client a few milliseconds, whatever is in it. Blocks that are quicker than two
seconds share one; towards the end tasks become shorter again, so that all workers end together.
"""

from collections import deque
from dataclasses import dataclass, field

from hven.compute.clusters import Cluster
from hven.compute.forecast import FILLED
from hven.compute.journal import Journal
from hven.compute.task import Outcome

_SECONDS = 2.0
"""What a task takes at most when its blocks are quicker."""
_RECENT = 8
"""How many blocks tell how quick they are; the first ones load libraries and compile."""


@dataclass
class Pace:
    """How quick the blocks of a run are.

    Attributes
    ----------
    cluster, journal
        Who works, and what is known of memory and of how much may be lost.
    recent
        Seconds that the last blocks took on a worker.
    is_tight
        Whether a block has run out of memory.
    """

    cluster: Cluster
    journal: Journal
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    is_tight: bool = False

    def note(self, outcome: Outcome) -> None:
        """Take in what a block took."""
        self.recent.append(outcome.seconds)
        self.is_tight = self.is_tight or (outcome.failure is not None and outcome.failure.cause == "memory")

    def blocks(self, left: int) -> int:
        """Return how many of the `left` blocks that nobody has begun the next task takes on, at least one."""
        if self.cluster.client is None or not self.recent or not self._has_room:
            return 1
        usual = sum(self.recent) / len(self.recent)
        # A killed run loses what its tasks have not told yet: no more than was asked for.
        in_time = min(_SECONDS, self.journal.seconds) / max(usual, 1e-6)
        fair = left / (2 * self.cluster.threads)
        return max(int(min(in_time, fair, self.journal.blocks)), 1)

    @property
    def _has_room(self) -> bool:
        """Whether a worker has the memory to read a block, and to write another, while it computes a third."""
        memory, told = self.cluster.memory, self.journal
        if self.is_tight:
            return False
        if not memory or not told.peak:
            return True
        return told.idle > 0 and told.idle + 2 * told.grown <= FILLED * memory

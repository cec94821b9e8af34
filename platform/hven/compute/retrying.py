"""What is tried again: the one place that says which errors pass, how often a block is tried, and how long is waited.

Whether trying again is of any use depends on the kind of the error alone. An error of the data is the same each time. A
store that did not answer may answer in a moment. A block that needed more memory than there was (and could not be cut
any smaller), or under which the worker died, may do when nothing else is computed beside it; when it does not, it is
set aside, and harms no other.
"""

import errno
import re
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from hven.errors import HvenError, SourceUnreachableError, StorageError

if TYPE_CHECKING:
    from hven.compute.task import Outcome, Place
    from hven.lake import Block

Cause = Literal["data", "store", "memory", "worker"]
"""Why a block failed: data or analysis; a store or a connection; too little memory; the worker died under it."""


@dataclass(frozen=True)
class Rule:
    """How a block is tried again.

    Attributes
    ----------
    tries
        How many times it is tried, the first one counted.
    pause, longest
        Seconds before the second try; before each further one twice as long, up to `longest`.
    is_alone
        Whether later tries are made once all other blocks have ended, with nothing else on the workers.
    """

    tries: int
    pause: float = 0.0
    longest: float = 0.0
    is_alone: bool = False

    def pauses(self) -> Iterator[float]:
        """Give the seconds to wait before each further try.

        Examples
        --------
        >>> list(Rule(5, pause=1.0, longest=3.0).pauses())
        [1.0, 2.0, 3.0, 3.0]
        """
        for number in range(self.tries - 1):
            yield min(self.pause * 2**number, self.longest)


RULES: dict[Cause, Rule] = {
    "data": Rule(tries=1),
    "store": Rule(tries=4, pause=1.0, longest=30.0),
    "memory": Rule(tries=2, is_alone=True),
    "worker": Rule(tries=2, is_alone=True),
}
"""What holds for each cause. Stores retry single requests underneath; this is for what comes through all the same."""

_LASTING = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
_NO_MEMORY = re.compile(r"RESOURCE_EXHAUSTED|[Oo]ut of memory|failed to allocate|cudaErrorMemoryAllocation")
_ENGINES = frozenset({"obstore", "icechunk", "deltalake", "polars", "_internal", "object_store"})
_NO_ANSWER = re.compile(
    r"time[sd]? ?out|connection|error sending request|dns error|broken pipe|server error|too many requests|"
    r"service unavailable|slow ?down|\b(429|50[0234])\b",
    re.IGNORECASE,
)


def cause_of(error: BaseException) -> Cause:
    """Return why something failed.

    Errors of the operating system and of connections (`OSError`, `TimeoutError`) may pass, except those that say that a
    file is not there or must not be read; what the engines underneath say of a store that does not answer may pass,
    too. An error of hven's own, or any other that an analysis raises, is one of the data.

    Examples
    --------
    >>> cause_of(ConnectionResetError("by peer")), cause_of(FileNotFoundError("weights.npz")), cause_of(MemoryError())
    ('store', 'data', 'memory')
    >>> cause_of(ValueError("a negative metallicity"))
    'data'
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "memory"
    if isinstance(error, HvenError):
        if isinstance(error, StorageError) and isinstance(error.__cause__, _LASTING):
            return "data"
        return "store" if isinstance(error, StorageError | SourceUnreachableError) else "data"
    if isinstance(error, OSError):
        return "data" if isinstance(error, _LASTING) else "store"
    home, text = type(error).__module__.partition(".")[0], str(error)
    if _NO_MEMORY.search(text) and home in {"jaxlib", "jax", "cupy", "cupy_backends", "polars"}:
        return "memory"
    return "store" if home in _ENGINES and _NO_ANSWER.search(text) else "data"


def compute_patiently(task: bytes, blocks: "Sequence[tuple[Block, Place]]", rule: Rule) -> "list[Outcome]":
    """Return the outcomes of some blocks; where a store does not answer, only after as many tries as the rule allows.

    The worker waits itself: a store that does not answer one block would not answer the next one either.

    Parameters
    ----------
    task, blocks
        As `compute_stretch` takes them.
    rule
        For errors of stores.
    """
    from hven.compute.stretch import compute_stretch

    # A try that failed half-way has written into its forks: each begins with what was handed out.
    handed = [deepcopy(place) if place.forks and rule.tries > 1 else place for _, place in blocks]
    outcomes = compute_stretch(task, blocks)
    for tries, pause in enumerate(rule.pauses(), 2):
        failed = [at for at, outcome in enumerate(outcomes) if outcome.failure and outcome.failure.cause == "store"]
        if not failed:
            break
        time.sleep(pause)
        again = [(blocks[at][0], deepcopy(handed[at]) if handed[at].forks else handed[at]) for at in failed]
        for at, outcome in zip(failed, compute_stretch(task, again), strict=True):
            outcomes[at] = replace(outcome, tries=tries)
    return outcomes


def is_tried_alone(outcome: "Outcome") -> bool:
    """Return whether a block that failed is to be tried again with nothing else on the workers."""
    return outcome.failure is not None and RULES[outcome.failure.cause].is_alone

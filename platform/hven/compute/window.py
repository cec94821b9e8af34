"""A rolling window: many small tasks, a bounded number of them on their way, results as they come."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from hven.errors import ClusterError

if TYPE_CHECKING:
    from hven.compute.clusters import Cluster

Item = TypeVar("Item")

AHEAD = 6
"""Tasks on their way for each that runs: enough that no worker waits, though they are handed over a few at once."""


class WorkerLost(Exception):  # noqa: N818 - it is an answer, not a failure of ours
    """The worker died under a task, though it was tried again on another."""


def each_outcome(
    cluster: "Cluster", submit: Callable[[Item], tuple[Any, ...]], items: Iterable[Item], ahead: Callable[[], int]
) -> Iterator[tuple[Item, Any]]:
    """Give each item with what its task returned, or with `WorkerLost`, in the order in which they end.

    Parameters
    ----------
    cluster
        Where tasks run.
    submit
        From an item to a function and its arguments.
    items
        Taken only as fast as tasks end.
    ahead
        How many may be on their way at once; asked again each time.

    Raises
    ------
    ClusterError
        If the scheduler is lost.
    """
    if cluster.client is None:
        for item in items:
            function, *arguments = submit(item)
            yield item, function(*arguments)
        return
    yield from _distributed(cluster.client, submit, iter(items), ahead)


def _distributed(
    client: Any, submit: Callable[[Item], tuple[Any, ...]], items: Iterator[Item], ahead: Callable[[], int]
) -> Iterator[tuple[Item, Any]]:
    from distributed import KilledWorker, as_completed

    under_way: dict[Any, Item] = {}
    ended = as_completed(loop=client.loop, raise_errors=False, with_results=True)

    def fill() -> None:
        # Handed over a few at a time: a graph costs the scheduler about as much as the tasks in it.
        room, batch = ahead() - len(under_way), max(1, ahead() // 3)
        if under_way and room < batch:
            return
        taken = list(islice(items, room))
        if not taken:
            return
        functions, *arguments = zip(*map(submit, taken), strict=True)
        futures = client.map(_call, functions, *arguments, pure=False)
        under_way.update(zip(futures, taken, strict=True))
        ended.update(futures)

    try:
        fill()
        while under_way:
            future, result = next(ended)
            item = under_way.pop(future)
            if isinstance(result, tuple) and len(result) == 3 and isinstance(result[1], BaseException):
                result = result[1]
            future.release()
            fill()
            if isinstance(result, KilledWorker):
                yield item, WorkerLost(str(result))
            elif isinstance(result, BaseException):
                raise _lost(result)
            else:
                yield item, result
    finally:
        if under_way and client.status == "running":
            client.cancel(list(under_way), force=True)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _lost(error: BaseException) -> ClusterError:
    return ClusterError(
        f"the cluster was lost: {type(error).__name__}: {error}",
        hint="What was finished is kept. Start the cluster again, and run this again.",
    )

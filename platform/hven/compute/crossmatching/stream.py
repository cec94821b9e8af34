"""Blocks in order: a bounded number of them on their way, on threads, on a Dask cluster, or one by one."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hven.compute.clusters import Cluster, cluster_for, default_workers
from hven.compute.crossmatching.matching import MOST_PAIRS, TooMany
from hven.errors import ClusterError
from hven.lake import Block

if TYPE_CHECKING:
    from hven.compute.clusters import AskedCluster

Submit = Callable[..., Any]
"""From a function and its arguments to what has a ``result()``."""

_AHEAD = 1
"""Blocks on their way beyond those that are worked on: results wait in memory until it is their turn."""


@contextmanager
def workers_for(asked: "AskedCluster | None", workers: int | None, blocks: int) -> Iterator[tuple[Submit, int]]:
    """Give how work is handed over, and how many blocks are worked on at once.

    Parameters
    ----------
    asked
        None for threads of this process, or what `hven.run` takes.
    workers
        How many; a core each by default.
    blocks
        How many there are to be done.
    """
    if asked is None:
        from concurrent.futures import ThreadPoolExecutor

        threads = workers or default_workers(max(blocks, 1))
        pool = ThreadPoolExecutor(threads, thread_name_prefix="hven-crossmatch")
        try:
            yield pool.submit, threads
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    with cluster_for(asked, workers or default_workers(max(blocks, 1))) as cluster:
        yield (_at_once if cluster.client is None else _on(cluster)), cluster.threads


def in_order(
    submit: Submit, threads: int, work: Callable[..., Any], blocks: Sequence[Block], *arguments: Any
) -> Iterator[Any]:
    """Give ``work(block, *arguments)`` of each block, in their order; a block with too many pairs is cut.

    Raises
    ------
    ClusterError
        If a worker dies under a block, or the cluster is lost.
    """
    waiting = deque(blocks)
    under_way: deque[tuple[Block, Any]] = deque()
    try:
        while waiting or under_way:
            while waiting and len(under_way) < threads + _AHEAD:
                block = waiting.popleft()
                under_way.append((block, submit(work, block, *arguments)))
            block, future = under_way.popleft()
            result = _result(future)
            if isinstance(result, TooMany):
                # What was begun after this block has to wait: it is begun again behind the pieces.
                for _, later in under_way:
                    later.cancel()
                waiting.extendleft(reversed([*_pieces(block, result.pairs), *(later for later, _ in under_way)]))
                under_way.clear()
                continue
            del future
            yield result
    finally:
        for _, future in under_way:
            future.cancel()


def _pieces(block: Block, pairs: int) -> list[Block]:
    count = min(block.rows, max(2, 2 * pairs // MOST_PAIRS))
    bounds = [block.start + block.rows * piece // count for piece in range(count + 1)]
    return [Block(block.index, block.part, a, b) for a, b in pairwise(bounds)]


def _result(future: Any) -> Any:
    try:
        return future.result()
    except Exception as error:
        if type(error).__name__ in ("KilledWorker", "CancelledError", "FutureCancelledError", "CommClosedError"):
            raise ClusterError(
                f"a worker was lost under a block: {type(error).__name__}",
                hint="Give workers more memory, or make blocks smaller with block_rows.",
            ) from error
        raise


class _Done:
    """The result of work that was done on the spot."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self) -> Any:
        return self._result

    def cancel(self) -> None:
        """Do nothing: it is done."""


def _at_once(work: Callable[..., Any], *arguments: Any) -> _Done:
    return _Done(work(*arguments))


def _on(cluster: Cluster) -> Submit:
    client: Any = cluster.client

    def submit(work: Callable[..., Any], *arguments: Any) -> Any:
        return client.submit(work, *arguments, pure=False)

    return submit

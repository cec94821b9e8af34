"""Batches from blocks that are read when their turn comes: for training on more rows than memory holds.

Blocks are visited in a new order each epoch and their rows shuffled; what a batch lacks at the end of one block comes
from the next. While one block is used the next is read in a thread, so no more than two are in memory, and a remainder
shorter than a batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._training_loop import padded

Rows = dict[str, NDArray[Any]]
Reader = Callable[[], Mapping[str, ArrayLike]]


def stream(
    blocks: Sequence[Reader], *, batch: int = 256, epochs: int = 1, shuffle: bool = True, seed: int = 0
) -> Iterator[Rows]:
    """Return an iterator over batches of the rows of `blocks`, every row once an epoch, all batches of one shape.

    Only the last batch of an epoch may be padded: with rows of zeros whose ``weight`` is 0. All batches having `batch`
    rows, a compiled step is compiled once. Orders follow from `seed`, the epoch and the block alone.

    Parameters
    ----------
    blocks
        Functions without arguments that read one block each: arrays by name, rows first, the same names in all. An
        array ``weight`` (n,) is added where there is none.
    batch
        Rows of a batch.
    epochs
        How often all blocks are gone through.
    shuffle
        Whether blocks, and rows within them, come in a random order; else as they are.
    seed
        Of the orders.

    Yields
    ------
    dict
        Arrays by name with `batch` rows; floats as float32, integers as int32.

    Raises
    ------
    DataRefusedError
        A block whose arrays differ in length, or whose names differ from those of the first one.
    ParameterError
        `batch` or `epochs` is less than 1.

    Examples
    --------
    >>> blocks = [lambda lo=lo: {"x": np.arange(lo, lo + 3.0)} for lo in (0, 3)]
    >>> for rows in stream(blocks, batch=4, shuffle=False):
    ...     print(rows["x"].tolist(), rows["weight"].tolist())
    [0.0, 1.0, 2.0, 3.0] [1.0, 1.0, 1.0, 1.0]
    [4.0, 5.0, 0.0, 0.0] [1.0, 1.0, 0.0, 0.0]
    """
    for name, value in (("batch", batch), ("epochs", epochs)):
        if value < 1:
            raise ParameterError(f"{name} is {value}", where="train.stream", expected="1 or more", hint="Raise it.")
    return _batches(blocks, batch, epochs, seed if shuffle else None)


def _batches(blocks: Sequence[Reader], batch: int, epochs: int, seed: int | None) -> Iterator[Rows]:
    names: set[str] = set()
    for epoch in range(epochs):
        left: Rows = {}
        for number, block in _read_ahead(blocks, _order(len(blocks), seed, epoch)):
            rows = _checked(block, number, names)
            order = _order(len(rows["weight"]), seed, epoch, number)
            begin = 0
            if left:
                begin = min(batch - len(left["weight"]), len(order))
                left = {name: np.concatenate([left[name], rows[name][order[:begin]]]) for name in rows}
                if len(left["weight"]) < batch:
                    continue
                yield padded(left, batch)
            while begin + batch <= len(order):
                yield padded({name: values[order[begin : begin + batch]] for name, values in rows.items()}, batch)
                begin += batch
            left = {name: values[order[begin:]] for name, values in rows.items()} if begin < len(order) else {}
        if left:
            yield padded(left, batch)


def _order(n: int, seed: int | None, *key: int) -> NDArray[np.intp]:
    return np.arange(n) if seed is None else np.random.default_rng([seed, *key]).permutation(n)


def _read_ahead(blocks: Sequence[Reader], order: NDArray[np.intp]) -> Iterator[tuple[int, Mapping[str, ArrayLike]]]:
    """Yield number and content of each block in `order`, the next being read meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="hven-stream") as reader:
        coming = [reader.submit(blocks[number]) for number in order[:1]]
        for place, number in enumerate(order):
            content = coming.pop().result()
            coming = [reader.submit(blocks[following]) for following in order[place + 1 : place + 2]]
            yield int(number), content


def _checked(block: Mapping[str, ArrayLike], number: int, names: set[str]) -> Rows:
    rows = {name: np.asarray(values) for name, values in block.items()}
    lengths = {name: len(values) for name, values in rows.items()}
    names.update(names or rows)
    if set(rows) != names or len(set(lengths.values())) != 1:
        raise DataRefusedError(
            f"a block holds arrays of lengths {lengths}", where=f"block {number}",
            expected=f"{', '.join(sorted(names))}, all with the same number of rows",
            hint="Every block has the same columns, rows along the first axis.",
        )  # fmt: skip
    rows.setdefault("weight", np.ones(next(iter(lengths.values()))))
    return rows

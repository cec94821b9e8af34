import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import DataRefusedError, ParameterError
from hven.methods import train


def blocks_of(sizes, seen=None):
    """Return readers of blocks of consecutive numbers; `seen` gets the number of each block when it is read."""
    starts = np.cumsum([0, *sizes])

    def reader(number):
        def read():
            if seen is not None:
                seen.append((number, threading.current_thread().name))
            x = np.arange(starts[number], starts[number + 1], dtype=np.float64)
            return {"x": np.stack([x, -x], axis=1), "id": x.astype(np.int64)}

        return read

    return [reader(number) for number in range(len(sizes))]


@given(st.lists(st.integers(0, 13), max_size=6), st.integers(1, 9), st.integers(1, 3), st.booleans())
def test_every_row_comes_once_an_epoch_in_batches_of_one_shape(sizes, batch, epochs, shuffle):
    batches = list(train.stream(blocks_of(sizes), batch=batch, epochs=epochs, shuffle=shuffle, seed=3))
    assert len(batches) == epochs * -(-sum(sizes) // batch)
    assert all(rows["x"].shape == (batch, 2) and rows["weight"].shape == (batch,) for rows in batches)
    kept = [rows["id"][rows["weight"] > 0] for rows in batches]
    for epoch in range(epochs):
        of_epoch = kept[epoch * len(batches) // epochs : (epoch + 1) * len(batches) // epochs]
        together = np.concatenate(of_epoch) if of_epoch else np.zeros(0)
        assert sorted(together) == list(range(sum(sizes)))
        assert shuffle or np.array_equal(together, np.arange(sum(sizes)))
        assert all(len(ids) == batch for ids in of_epoch[:-1])
    for rows in batches:
        assert np.array_equal(rows["x"][:, 0], -rows["x"][:, 1])
        assert np.array_equal(rows["x"][:, 0], rows["id"])
        assert not rows["x"][rows["weight"] == 0].any()


def test_blocks_are_read_one_ahead_in_a_thread_and_no_further():
    seen = []
    batches = train.stream(blocks_of([4] * 10, seen), batch=4, shuffle=False)
    assert seen == []
    for used in range(1, 4):
        next(batches)
        assert len(seen) <= used + 1
    batches.close()
    assert [number for number, _ in seen] == list(range(len(seen)))
    assert len(seen) <= 4
    assert all(name.startswith("hven-stream") for _, name in seen)


def test_orders_follow_from_the_seed_and_differ_between_epochs():
    def ids(seed, epochs=2):
        return np.concatenate([r["id"] for r in train.stream(blocks_of([20] * 5), batch=10, epochs=epochs, seed=seed)])

    one = ids(1)
    assert np.array_equal(one, ids(1))
    assert not np.array_equal(one, ids(2))
    assert not np.array_equal(one[:100], one[100:])
    assert np.unique(one[:20] // 20).size == 1, "rows are shuffled within their block, so that each is read once"


def test_a_weight_of_ones_own_is_kept_and_kinds_are_those_of_the_device():
    (rows,) = train.stream([lambda: {"y": np.ones(3), "weight": np.array([2.0, 0.5, 1.0]), "is_giant": [True] * 3}],
                           batch=4, shuffle=False)  # fmt: skip
    assert rows["weight"].tolist() == [2.0, 0.5, 1.0, 0.0]
    assert (rows["y"].dtype, rows["is_giant"].dtype) == (np.float32, np.bool_)


def test_streamed_least_squares_is_that_of_the_whole_table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3))
    y = x @ [1.0, -2.0, 0.5] + rng.normal(scale=0.1, size=1000)
    blocks = [lambda s=s: {"x": x[s], "y": y[s]} for s in np.array_split(np.arange(1000), 7)]
    gram, moment = np.zeros((3, 3)), np.zeros(3)
    for rows in train.stream(blocks, batch=64):
        weighted = rows["x"] * rows["weight"][:, None]
        gram += weighted.T @ rows["x"]
        moment += weighted.T @ rows["y"]
    assert np.linalg.solve(gram, moment) == pytest.approx(np.linalg.lstsq(x, y)[0], abs=1e-5)


def test_a_block_that_does_not_fit_is_refused_by_number_and_a_reader_that_fails_is_heard():
    good = {"x": np.ones(3), "y": np.ones(3)}
    with pytest.raises(DataRefusedError, match="block 1"):
        list(train.stream([lambda: good, lambda: {"x": np.ones(3)}], batch=2, shuffle=False))
    with pytest.raises(DataRefusedError, match=r"lengths \{'x': 3, 'y': 2\}"):
        list(train.stream([lambda: {"x": np.ones(3), "y": np.ones(2)}]))
    with pytest.raises(ParameterError, match="batch is 0"):
        train.stream([lambda: good], batch=0)

    def broken():
        raise OSError("disk on fire")

    with pytest.raises(OSError, match="disk on fire"):
        list(train.stream([broken]))

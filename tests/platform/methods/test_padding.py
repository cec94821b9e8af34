import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hven.methods import pad, padded_length


@given(st.integers(1, 10_000_000))
def test_a_padded_length_holds_its_rows_and_wastes_at_most_three_quarters(n):
    length = padded_length(n)
    assert n <= length <= max(256, 4 * n)
    assert padded_length(length) == length


def test_lengths_up_to_a_million_are_nine():
    assert len({padded_length(n) for n in range(1, 1_000_001, 100)}) == 9


def test_padding_keeps_columns_and_makes_float64():
    padded = pad(np.ones((2, 3), dtype=np.float32), 4, fill=7.0)
    assert padded.dtype == np.float64
    assert padded.tolist() == [[1] * 3] * 2 + [[7] * 3] * 2

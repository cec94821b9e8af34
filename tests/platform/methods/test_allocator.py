"""Memory that is freed is kept for the next array of its size, as long as that is asked for."""

import json
import subprocess
import sys

import numpy as np
import pytest

from hven.methods._allocator import _glibc, memory_kept

MEASUREMENT = """
import json, resource
import numpy as np
from hven.methods._allocator import memory_kept

def pages_of_ten_arrays():
    np.ones(5_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(5_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = pages_of_ten_arrays()
with memory_kept():
    kept = pages_of_ten_arrays()
print(json.dumps([usual, kept, pages_of_ten_arrays()]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or _glibc() is None, reason="the C library is not glibc")
def test_arrays_take_no_fresh_pages_while_memory_is_kept_and_do_again_afterwards():
    """In a process of its own: where other work has left a hole of 40 MB in the heap, arrays take no pages anyhow."""
    told = subprocess.run([sys.executable, "-c", MEASUREMENT], capture_output=True, text=True, check=True, timeout=120)
    usual, kept, afterwards = json.loads(told.stdout)
    assert usual > 0
    assert kept < 0.1 * usual
    assert afterwards > 0.5 * usual


def test_another_c_library_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr("hven.methods._allocator._glibc", lambda: None)
    with memory_kept():
        assert np.ones(10).sum() == 10

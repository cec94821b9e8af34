"""A lake that is made on the oldest Python is read and extended on the newest, and back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import numpy as np, polars as pl, xarray as xr
import hven
step = int(sys.argv[2])
lake = hven.open(sys.argv[1]) if step else hven.create(sys.argv[1])
frame = pl.DataFrame({"object_id": [step], "made": [sys.version.split()[0]]})
flux = ("object", "wavelength"), np.full((1, 4), float(step))
cube = xr.Dataset({"object_id": ("object", [step]), "flux": flux, "wavelength": np.arange(4.0)})
with lake.transaction(f"step {step}") as tx:
    if step:
        tx.append("stars", frame)
        tx.append("spectra", cube)
    else:
        tx.write("stars", frame)
        tx.write("spectra", cube)
assert lake["stars"].table().collect()["object_id"].to_list() == list(range(step + 1))
assert lake["spectra"].dataset()["flux"].values[:, 0].tolist() == [float(i) for i in range(step + 1)]
"""


def _other_python():
    """An environment of another Python with hven in it: HVEN_OTHER_PYTHON names its interpreter."""
    told = os.environ.get("HVEN_OTHER_PYTHON", "")
    return told if told and Path(told).exists() else None


@pytest.mark.skipif(
    _other_python() is None, reason="only one Python with hven at hand (name another: HVEN_OTHER_PYTHON)"
)
def test_a_lake_goes_from_one_python_to_the_other_and_back(tmp_path):
    other = _other_python()
    for step, python in enumerate([sys.executable, other, sys.executable, other]):
        done = subprocess.run(
            [python, "-c", SCRIPT, str(tmp_path / "lake"), str(step)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]

"""A lake that is made on the oldest Python is read and extended on the newest, and back."""

import os
import shutil
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


ROOT = Path(__file__).parents[3]
TOLD = os.environ.get("HVEN_OTHER_PYTHON", "")
"""An interpreter of another Python that has hven; without it, an environment is made when another Python is found."""


def interpreters():
    """Give the interpreters at hand that are of another minor version than this one, and new enough for hven."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    known = [shutil.which(f"python3.{minor}") for minor in range(11, 20)]
    for python in [*filter(None, known), *map(str, sorted(pyenv.glob("versions/3.*/bin/python3")))]:
        asked = [python, "-c", "import ensurepip, sys; print(*sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            version = tuple(map(int, done.stdout.split()))
            if version >= (3, 11) and version != sys.version_info[:2]:
                yield version, python


def environment_of(python, folder):
    """Make an environment with hven and return its interpreter."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    inside = str(folder / "bin" / "python")
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    done = subprocess.run(
        [*pip, "-c", str(ROOT / "constraints.txt"), str(ROOT)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"hven cannot be installed for {python}: {done.stderr[-300:]}")
    return inside


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_lake_goes_from_one_python_to_the_other_and_back(tmp_path):
    found = [] if TOLD else sorted(interpreters())
    if not TOLD and not found:
        pytest.skip("only one Python at hand (HVEN_OTHER_PYTHON names another that has hven)")
    # The oldest and the newest that hven serves are what is to be told apart: the one farthest from this.
    farthest = found[0] if found and found[0][0] < sys.version_info[:2] else (found or [None])[-1]
    other = TOLD or environment_of(farthest[1], tmp_path / "other")
    for step, python in enumerate([sys.executable, other, sys.executable, other]):
        done = subprocess.run(
            [python, "-c", SCRIPT, str(tmp_path / "lake"), str(step)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]

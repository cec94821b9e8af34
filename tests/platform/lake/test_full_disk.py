"""A disk that is full at any moment of a commit: a coded error, and the lake is as before."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys
import numpy as np, polars as pl, xarray as xr
import hven
lake = hven.open(sys.argv[1])
what, limit = sys.argv[2], int(sys.argv[3])
rows = 40_000
frame = pl.DataFrame({"object_id": np.arange(rows) + 10**6, "x": np.random.default_rng(1).normal(size=rows)})
flux = ("object", "w"), np.random.default_rng(2).normal(size=(rows, 4))
cube = xr.Dataset({"object_id": ("object", np.arange(rows) + 10**6), "flux": flux})
frame.head(1).filter(pl.col("x") > 0), lake.catalog  # whatever is loaded lazily is loaded before the disk fills
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with lake.transaction("too large") as tx:
        tx.append("stars", frame) if what == "table" else tx.append("cube", cube)
    print("published")
except hven.HvenError as error:
    print(error.code)
"""


@pytest.mark.parametrize("what", ["table", "arrays"])
@pytest.mark.parametrize("limit", [0, 700, 20_000])
def test_a_full_disk_is_told_and_the_lake_is_as_before(lake, what, limit):
    import numpy as np
    import polars as pl
    import xarray as xr

    with lake.transaction() as tx:
        tx.write("stars", pl.DataFrame({"object_id": [1, 2], "x": [0.5, 1.5]}))
        tx.write("cube", xr.Dataset({"object_id": ("object", [1, 2]), "flux": (("object", "w"), np.ones((2, 4)))}))
    before = _committed(lake)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, lake.url, what, str(limit)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "storage-failed", done.stderr[-2000:]
    assert _committed(lake) == before
    with lake.transaction("room again") as tx:
        tx.append("stars", pl.DataFrame({"object_id": [3], "x": [2.5]}))
    assert lake["stars"].table().collect()["object_id"].to_list() == [1, 2, 3]


def _committed(lake):
    catalogs = {key: json.loads(lake.store.get(key)) for key in lake.store.list("catalogs") if key.endswith(".json")}
    return catalogs, lake["stars"].table().collect().rows(), lake["cube"].dataset()["flux"].values.tolist()

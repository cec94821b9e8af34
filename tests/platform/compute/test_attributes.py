"""What a dataset says of itself as a whole reaches the analysis, but for caveats, which are of the run that made it."""

import numpy as np
import pytest
import xarray as xr

import hven


@hven.analysis(images=hven.Images(), produces={"told": ""}, version="1")
def what_images_say(images):
    """Attributes of images."""
    return xr.Dataset({"told": ((), ", ".join(f"{k}={v}" for k, v in sorted(images.attrs.items())))})


@hven.analysis(images=hven.Images(), produces={"told": ""}, version="1", per_object=True)
def what_blocks_say(images):
    """Attributes of images, told for each."""
    told = np.full(images.sizes["object"], str(images.attrs.get("generator", "nothing")))
    return xr.Dataset({"told": ("object", told.astype(np.dtypes.StringDType()))})


@pytest.mark.parametrize("where", ["", "theta_x > 3"])
def test_attributes_of_a_dataset_reach_the_analysis_whole_and_in_blocks(tmp_path, where):
    lake = hven.create(tmp_path / "lake")
    images = xr.Dataset(
        {"flux": (("object", "band", "y", "x"), np.ones((8, 1, 2, 2))), "theta_x": ("object", np.arange(8.0))},
        {"band": ["map"], "object_id": ("object", np.arange(8))},
        {"generator": "gan", "n_training": 250, "caveats": ["one is blurred"]},
    )  # fmt: skip
    with lake.transaction("maps") as tx:
        tx.write("maps", images, kind="images")
    given, quiet = {"images": hven.select("maps", where=where)}, {"cluster": "synchronous", "progress": False}
    whole = hven.run(lake, what_images_say, given, **quiet)
    assert str(whole.result.dataset()["told"].values) == "generator=gan, n_training=250"
    blocks = hven.run(lake, what_blocks_say, given, **quiet)
    assert set(blocks.result.table().collect()["told"]) == {"gan"}

"""A plugin package from outside the repository: installed, discovered, run by the command, its result published."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import hven
from simulated import make_stars

PACKAGE = Path(__file__).parents[1] / "plugin_package"


@pytest.fixture
def installed(tmp_path):
    """Install the package into a folder of its own and return the environment in which Python finds it."""
    copy = tmp_path / "source"
    subprocess.run(["cp", "-r", str(PACKAGE), str(copy)], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(tmp_path / "site"), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return os.environ | {"PYTHONPATH": str(tmp_path / "site")}


def hven_says(environment, *words):
    done = subprocess.run(
        [sys.executable, "-c", "from hven.cli import main; main()", *words],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_plugin_from_elsewhere_is_installed_discovered_and_run(installed, lake):
    stars = make_stars(0, 2_000)
    colours = stars.with_columns(
        phot_g_mean_mag=pl.lit(14.0),
        phot_bp_mean_mag=14.5 + pl.col("feh") / 10,
        phot_rp_mean_mag=pl.lit(13.4),
        a_v=pl.lit(0.3),
    )
    with lake.transaction() as tx:
        tx.write("stars", colours)
    listed = json.loads(hven_says(installed, "plugins", "--json"))
    mine = next(plugin for plugin in listed if plugin["distribution"] == "hven-colours")
    assert (mine["state"], mine["version"]) == ("loaded", "0.3.0")
    name = mine["brings"]["analyses"][0]
    assert name in hven_says(installed, "analyses")
    said = hven_says(installed, "run", name, "--lake", lake.url, "--input", "stars=stars", "--workers", "1", "--json")
    assert json.loads(said)["state"] == "succeeded with caveats", "all magnitudes are one"
    result = hven.open(lake.url)[name]
    assert result.table().collect()["object_id"].to_list() == stars["object_id"].to_list()
    assert result.entry.provenance["software"]["hven-colours"] == "0.3.0"

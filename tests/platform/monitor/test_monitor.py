import base64
import re

import numpy as np
import polars as pl
import pytest
import xarray as xr
from matplotlib.figure import Figure

import hven
from hven.monitor import report_html
from hven.plugins import plugins


@hven.analysis(stars=hven.Table(feh="dex"), produces={"mean": "dex", "spread": "dex"}, references=("2304.02958",))
def moments(stars: xr.Dataset, *, ddof: int = 0) -> xr.Dataset:
    """Mean and spread of [Fe/H].

    All stars count the same; `ddof` is what ``numpy.std`` takes. A <script> here is only text.

    Parameters
    ----------
    ddof
        Lost degrees of freedom.
    """
    feh = stars.feh.values
    return xr.Dataset({"mean": ("group", [feh.mean()]), "spread": ("group", [feh.std(ddof=ddof)])})


@moments.figure
def _(result: xr.Dataset) -> Figure:
    figure = Figure(figsize=(3, 2))
    figure.add_subplot().errorbar([0], result["mean"].values, result["spread"].values)
    return figure


@pytest.fixture
def stars(lake):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"object_id": np.arange(500), "feh": rng.normal(size=500), "visits": np.arange(500)})
    with lake.transaction() as tx:
        tx.write("stars", frame)
    return lake


def text_of(run):
    return run.lake.store.get(f"{run.folder}/report.html").decode()


def test_a_report_tells_what_was_computed_of_what_and_shows_its_figures(stars):
    run = hven.run(stars, moments, {"stars": hven.select("stars", where="feh < 1")}, {"ddof": 1}, cluster="synchronous")
    text = text_of(run)
    for told in ("moments", "succeeded", "feh &lt; 1", "Lost degrees of freedom.", "2304.02958", run.key, run.id):
        assert told in text, told
    assert f"{run.result.dataset()['mean'].values[0]:.5g}" in text
    inline = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert [base64.b64decode(png)[:4] for png in inline] == [b"\x89PNG"]
    assert list(run.figures) == ["moments"]
    assert run.report.endswith("report.html")


def test_a_report_opens_without_a_network(stars):
    text = text_of(hven.run(stars, moments, {"stars": "stars"}, cluster="synchronous"))
    fetched = re.findall(r'(?:src|href)="([^"]+)"|url\(([^)]+)\)|@import', text)
    assert all(a.startswith(("data:", "https://arxiv.org/abs/")) for a, _ in fetched), "links are for people to follow"
    assert "<link" not in text
    assert "<script" not in text, "texts of others are text"


def test_a_report_can_be_made_of_a_run_that_is_only_a_record(stars):
    run = hven.run(stars, moments, {"stars": "stars"}, cluster="synchronous")
    again = hven.compute.open_run(stars, run.id)
    assert again.definition is None
    assert "moments" in report_html(again, {})


def test_the_monitor_is_a_plugin_like_any_other():
    told = {plugin.name: plugin for plugin in plugins().loaded}["monitor"]
    assert told.distribution == "hven"

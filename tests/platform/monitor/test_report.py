import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import hven
import trial_analyses as trial
from hven.compute import open_run
from reading_pages import Page
from simulated import make_stars


@pytest.fixture
def stars(lake):
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 1_000), survey="Mock")
    return lake


def page_of(run):
    text = Path(run.report).read_text(encoding="utf-8")
    return text, Page(text)


def test_a_report_holds_everything_it_shows(stars):
    chosen = hven.select("stars", where="feh < 2", columns={"feh": "feh"})
    run = hven.run(stars, trial.mean_feh, {"stars": chosen}, {"least": 3}, cluster="synchronous")
    text, page = page_of(run)
    assert all(address.startswith("data:image/png;base64,") for address in page.loads)
    assert len(page.loads) == 1
    assert not re.search(r"@import|url\(|<script", text)
    assert page.open_tags == []
    for word in (run.id, run.key, "mean_feh", "Mean metallicity of everything at once.", "feh < 2", "least", "stars"):
        assert word in page.text, word
    assert hven.__version__ in page.text
    assert f"{run.rows['in']:,}" in page.text


def test_figures_are_kept_as_png_beside_the_record(stars):
    run = hven.run(stars, trial.mean_feh, {"stars": "stars"}, cluster="synchronous")
    (path,) = run.figures.values()
    assert Path(path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert open_run(stars, run.id).figures == run.figures
    assert open_run(stars, run.id).report == run.report


def test_what_users_write_cannot_become_part_of_the_page(stars):
    chosen = hven.select("stars", where="name <> '<script>alert(1)</script>'")
    run = hven.run(stars, trial.doubled, {"stars": chosen}, {"folder": ""}, cluster="synchronous")
    text, page = page_of(run)
    assert "<script>" not in text
    assert "<script>alert(1)</script>" in page.text


def test_a_failed_run_has_a_report_too(stars, tmp_path):
    with pytest.raises(hven.errors.RunFailedError):
        hven.run(stars, trial.fragile, {"stars": "stars"}, {"folder": "/nowhere"}, cluster="synchronous")
    run = hven.compute.runs(stars)[0]
    assert "FileNotFoundError" in page_of(run)[1].text


def test_a_figure_may_show_the_inputs_and_be_several(stars):
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"mean": "dex"})
    def mean(stars):
        """Return the mean."""
        return xr.Dataset({"mean": ("population", [float(stars.feh.mean())])})

    @mean.figure
    def _(result, inputs):
        drawn = {}
        for name in ("all of them", "../../out"):
            drawn[name] = Figure()
            drawn[name].subplots().hist(inputs["stars"].feh.values)
        return drawn

    run = hven.run(stars, mean, {"stars": hven.select("stars", where="feh > 0")}, cluster="synchronous")
    assert run.caveats == []
    assert set(run.record["figures"]) == {"all_of_them", "_.._out"}
    assert all(key.startswith(f"{run.folder}/figures/") for key in run.record["figures"].values())
    told = stars["stars"].table(where="feh > 0").collect()["feh"]
    assert np.array_equal(run.inputs["stars"].feh.values, told)


def test_of_many_objects_some_are_drawn_from_everywhere(stars, monkeypatch):
    monkeypatch.setattr("hven.monitor.figures._LARGEST", 200)
    seen = []

    @hven.analysis(stars=hven.Table(feh="dex"), produces={"same": "dex"}, per_object=True)
    def same(stars):
        """Return the same."""
        return stars.rename(feh="same")

    @same.figure
    def _(result):
        seen.append(result.sizes["object"])

    run = hven.run(stars, same, {"stars": "stars"}, cluster="synchronous")
    assert seen == [67]
    assert run.caveats == ["Figures show one in 15 of 1,000 objects."]


def test_the_page_is_well_formed(stars):
    run = hven.run(stars, trial.mean_feh, {"stars": "stars"}, cluster="synchronous")
    text, _ = page_of(run)
    body = re.search(r"<body>.*</body>", text, re.DOTALL)[0]
    ET.fromstring(re.sub(r"<(img|br|meta)([^>]*)>", r"<\1\2/>", body))


def test_a_report_counts_in_words_and_shows_markup_as_code(stars):
    @hven.analysis(stars=hven.Table(feh="dex"), produces={"mean": "dex"})
    def mean(stars):
        """Mean of ``feh``, one number."""
        return xr.Dataset({"mean": ("population", [float(stars.feh.mean())])}, attrs={"caveats": "No `feh_err`."})

    run = hven.run(stars, mean, {"stars": "stars"}, cluster="synchronous")
    text, page = page_of(run)
    assert "1 row in all" in page.text
    assert "in one process" in page.text
    assert "Mean of <code>feh</code>, one number." in text
    assert "No <code>feh_err</code>." in text
    assert 'class="state succeeded with caveats"' in text

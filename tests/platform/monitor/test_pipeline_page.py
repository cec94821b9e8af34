"""The page of a pipeline: what was done, what came out, and what did not."""

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import polars as pl
import pytest
import xarray as xr
import yaml
from matplotlib.figure import Figure

import hven
import trial_analyses as trial
from hven import Pipeline, ReportSection, Step
from hven.compute import Intake, PipelineReport, ShownStep, runs
from hven.monitor import pipeline_html
from hven.plugins import plugins
from reading_pages import Page
from simulated import make_stars

HERE = {"cluster": "synchronous"}


@pytest.fixture
def stars(lake):
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 500), survey="Mock", title="Stars")
    return lake


@hven.analysis(stars=hven.Table(feh="dex"), produces={"spread": "dex"})
def spread(stars):
    """Spread of the metallicities <of all>, in `dex`."""
    return xr.Dataset({"spread": ("population", [float(np.std(stars.feh.values))])})


@spread.figure
def _(result):
    drawn = {"first": Figure(), "second": Figure(figsize=(2, 1))}
    for figure in drawn.values():
        figure.subplots().plot(result.spread, "o")
    return drawn


def verdicts(run):
    if run.analysis != "spread" or run.commit is None:
        return []
    figure = Figure()
    figure.subplots().plot([0, 1])
    table = {"columns": ("spread", "stars"), "rows": [(0.25, run.rows["in"])]}
    return [ReportSection("Verdict", "Of `feh`.\n\nIt is <wide>.", **table, figures={"a/b line": figure})]


def two_steps(**told):
    steps = [Step(trial.mean_feh, {"stars": "stars"}, output="mean"), Step(spread, {"stars": "stars"})]
    return Pipeline(steps, report=PipelineReport(**told))


def page_of(done):
    text = Path(done.report).read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_tells_what_was_done_and_shows_what_came_out(stars, listening):
    listening("verdicts", verdicts)
    done = hven.run_pipeline(stars, two_steps(title="How wide?", text="Once.\n\nTwice `over`."), **HERE)
    text, page = page_of(done)
    assert page.headings == ["How wide?", "mean", "spread", "Verdict", "All steps", "The pipeline"]
    assert "<p>Twice <code>over</code>.</p>" in text
    for word in ("Mean metallicity of everything at once.", "2 steps", "s in the runs of its steps", "500"):
        assert word in page.text, word
    assert f"{stars.number} catalog" in page.text
    assert "<td>0.25</td><td>500</td>" in text
    assert len(page.loads) == 1 + 1 + 2, "the mean's figure, the verdict's, and two of the spread"
    assert page.text.index("Verdict") < page.text.index("first") < page.text.index("second")
    assert yaml.safe_load(re.search(r"<pre>(.*)</pre>", text, re.DOTALL)[1].replace("&#34;", '"'))["report"] == {
        "title": "How wide?",
        "text": "Once.\n\nTwice `over`.",
    }


def test_the_page_opens_without_a_network_and_is_well_formed(stars, listening):
    listening("verdicts", verdicts)
    text, page = page_of(hven.run_pipeline(stars, two_steps(), **HERE))
    assert all(address.startswith("data:image/png;base64,") for address in page.loads)
    assert not re.search(r"@import|url\(|<script|http", text)
    assert page.open_tags == []
    body = re.search(r"<body>.*</body>", text, re.DOTALL)[0]
    root = ET.fromstring(re.sub(r"<(img|br|meta)([^>]*)>", r"<\1\2/>", body))
    assert {link[1:] for link in page.links if link.startswith("#")} <= {one.get("id") for one in root.iter("h2")}


def test_reports_of_single_runs_are_found_from_the_page_wherever_the_lake_is_moved(stars, tmp_path):
    done = hven.run_pipeline(stars, two_steps(), **HERE)
    moved = Path(shutil.move(stars.url, tmp_path / "a lake elsewhere"))
    page = moved / Path(done.report).relative_to(stars.url)
    links = [link for link in Page(page.read_text()).links if not link.startswith("#")]
    assert [(page.parent / unquote(link)).is_file() for link in links] == [True, True]


def test_what_was_up_to_date_shows_what_its_last_run_drew_and_said_without_the_plugin(stars, listening):
    is_there = [True]
    listening("verdicts", lambda run: verdicts(run) if is_there else [])
    first = page_of(hven.run_pipeline(stars, two_steps(), **HERE))[1]
    is_there.clear()
    done = hven.run_pipeline(stars, two_steps(), **HERE)
    again = page_of(done)[1]
    assert done.did_nothing
    assert again.headings == first.headings
    assert again.loads == first.loads
    assert "2 steps, 2 up to date" in again.text
    assert "It is <wide>." in again.text


def test_what_people_write_is_shown_and_not_run(stars):
    evil = "<script>alert(1)</script>"
    shown = [ShownStep("spread", text=f"{evil} & `{evil}`", figures=[evil])]
    text, page = page_of(hven.run_pipeline(stars, two_steps(title=evil, text=evil, show=shown), **HERE))
    assert "<script" not in text
    assert page.text.count(evil) >= 5
    assert page.headings[0] == evil


def test_steps_figures_and_sections_are_shown_as_they_are_chosen(stars, listening):
    listening("verdicts", verdicts)
    chosen = [
        ShownStep("spread", "The second first.", figures=["second", "first"], sections=[]),
        ShownStep("spread", figures=[], sections=["Verdict"]),
    ]
    done = hven.run_pipeline(stars, two_steps(show=chosen), **HERE)
    text, page = page_of(done)
    assert page.headings[1:5] == ["spread", "spread", "Verdict", "All steps"]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == ["second", "first", "a/b line"]
    assert page.text.index("The second first.") < page.text.index("Verdict")
    nothing = Page(pipeline_html(hven.run_pipeline(stars, two_steps(show=[]), **HERE)))
    assert nothing.headings == ["spread", "All steps", "The pipeline"]


def test_what_is_not_there_to_be_shown_is_told_with_the_nearest_name(stars):
    chosen = [ShownStep("spread", figures=["frist", "second"], sections=["Verdict"])]
    done = hven.run_pipeline(stars, two_steps(show=chosen), **HERE)
    page = page_of(done)[1]
    assert "There is no figure 'frist'. Did you mean 'first'?" in page.text
    assert "There is no section 'Verdict'. There are: none." in page.text
    assert len(page.loads) == 1
    Path(done["spread"].run.figures["second"]).unlink()
    again = page_of(hven.run_pipeline(stars, two_steps(show=["spread"]), **HERE))[1]
    assert "Figure 'second' is not in the lake any more." in again.text
    assert len(again.loads) == 1


def test_a_step_that_failed_and_those_that_were_not_run_are_told(stars):
    steps = [
        Step(trial.mean_feh, {"stars": "stars"}, output="mean"),
        Step(trial.fragile, {"stars": "stars"}, {"folder": "/nowhere"}, output="broken"),
        Step(trial.ranked, {"stars": hven.select("broken", columns={"feh": "doubled"})}, output="ranks"),
        Step(trial.mean_feh, {"stars": hven.select("stars", where="feh > 99")}, output="none"),
    ]
    done = hven.run_pipeline(stars, Pipeline(steps), **HERE)
    text, page = page_of(done)
    assert page.headings[0] == "none"
    assert re.search(r'<h1>none<span class="state failed">', text)
    assert "broken: run-failed : " in page.text
    assert "ranks was not run, because there is no broken." in page.text
    assert "none: too-few-objects" in page.text
    assert page.text.count("It made no result this time.") == 3
    failed = next(run for run in runs(stars) if run.output == "broken")
    assert done["broken"].run.id == failed.id
    assert f"../{failed.record['report']}" in page.links
    assert (done["ranks"].run, len(page.loads)) == (None, 1)


def test_a_step_refused_before_there_is_a_run_has_no_link_to_the_run_before(stars, monkeypatch):
    from hven.compute.pipelines import running

    done = hven.run_pipeline(stars, two_steps(), **HERE)
    count = len(page_of(done)[1].links)

    def refuse(*_, **__):
        raise hven.errors.StorageError("the store failed", hint="Do it again.")

    monkeypatch.setattr(running, "make_request", refuse)
    again = hven.run_pipeline(stars, two_steps(), **HERE)
    assert [step.run for step in again.steps] == [None, None]
    assert len(page_of(again)[1].links) == count - 2


def test_caveats_of_what_is_shown_are_told(stars):
    pipeline = Pipeline([Step(trial.doubled, {"stars": "stars"})])
    page = page_of(hven.run_pipeline(stars, pipeline, **HERE))[1]
    assert "A figure could not be drawn: RuntimeError: no ink" in page.text


def test_a_page_that_cannot_be_written_is_told_and_fails_nothing(stars, monkeypatch):
    monkeypatch.setattr("hven.monitor.write_pipeline_page", lambda run: 1 / 0)
    said = []
    done = hven.run_pipeline(stars, two_steps(), **HERE, tell=said.append)
    assert (done.is_well, done.report) == (True, None)
    (caveat,) = done.caveats
    assert caveat == "Plugin monitor failed at the end of the pipeline: ZeroDivisionError: division by zero"
    assert said[-1] == caveat
    assert (done.to_json()["report"], done.to_json()["caveats"]) == (None, [caveat])


def test_other_plugins_hear_the_end_of_a_pipeline_too(stars):
    heard = []

    class Listener:
        @hven.hookimpl
        def hven_pipeline_finished(self, run):
            heard.append((run.lake, run.pipeline, [step.state for step in run.steps], run.report))

    plugins().register(Listener(), "listener")
    try:
        pipeline = two_steps()
        done = hven.run_pipeline(stars, pipeline, **HERE)
    finally:
        plugins().unregister("listener")
    assert heard == [(stars, pipeline, ["succeeded", "succeeded"], done.report)], "the page is there by then"


def test_the_page_is_called_what_the_pipeline_is_called_and_replaced_each_time(stars, tmp_path):
    told = two_steps().to_json()
    told["steps"] = [{"analysis": "red_clump_distances", "inputs": {"stars": "more"}, "output": "distances"}]
    told["ingest"] = [{"name": "more", "files": "more.csv"}]
    (tmp_path / "more.csv").write_text("source_id,ra,dec,feh,ks_mag,a_k\n1,10,20,-0.1,10,0\n2,11,21,0.3,10,0.1\n")
    path = tmp_path / "über der Scheibe.v2.yaml"
    path.write_text(yaml.safe_dump(told | {"cluster": "synchronous"}))
    done = [hven.run_pipeline(stars, path) for _ in range(2)]
    assert done[0].pipeline.name == "über der Scheibe.v2"
    assert [Path(one.report).name for one in done] == ["über_der_Scheibe.v2.html"] * 2
    assert len(stars.store.list("pipelines")) == 1
    text, page = page_of(done[1])
    assert page.headings[0] == "über der Scheibe.v2"
    assert "2 objects ingested" in page.text
    assert "- more.csv" in text, "as the file says it, and not where it is on this machine"
    assert str(tmp_path) not in text
    assert Pipeline([], path="/x/disc.yml").name == "disc"
    assert Pipeline([], path="schedule 'a.b'").name == "schedule 'a.b'"
    assert Pipeline([Step("a"), Step("b", output="c")]).name == "c"


def test_a_pipeline_that_has_no_text_has_a_page_all_the_same(stars):
    rich = hven.select("stars", where=pl.col("feh").round(1) > 0)
    page = page_of(hven.run_pipeline(stars, Pipeline([Step(spread, {"stars": rich})]), **HERE))[1]
    assert "It cannot be written as a file: the condition on input 'stars' is a Polars expression" in page.text
    assert page.headings[:2] == ["spread", "spread"]
    assert "1 step " in page.text


def test_files_elsewhere_are_named_whole(stars, tmp_path):
    (tmp_path / "more.csv").write_text("source_id,ra,dec,feh\n1,10,20,-0.1\n2,11,21,0.3\n")
    files = (str(tmp_path / "more.csv"),)
    done = hven.run_pipeline(stars, Pipeline([Step(spread, {"stars": "more"})], [Intake("more", files)]), **HERE)
    assert str(tmp_path / "more.csv") in page_of(done)[1].text

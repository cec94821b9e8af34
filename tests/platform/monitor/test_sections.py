import re

import numpy as np
import pytest
from matplotlib.figure import Figure

import hven
import trial_analyses as trial
from hven import ReportSection
from hven.compute import open_run
from hven.errors import DeclarationError
from simulated import make_stars


@pytest.fixture
def stars(lake):
    with lake.transaction() as tx:
        tx.write("stars", make_stars(0, 200))
    return lake


def report_of(run):
    return run.lake.store.get(f"{run.folder}/report.html").decode()


def test_a_plugin_adds_text_table_and_figure_to_the_report_of_its_runs(stars, listening):
    def sections(run):
        if run.analysis != "mean_feh":
            return []
        figure = Figure()
        figure.subplots().plot([0, 1])
        told = f"The mean of `{run.output}`.\n\nA <script>alert(1)</script> is only text."
        mean = float(run.result.dataset()["mean_feh"].compute()[0])
        return [ReportSection("What it means", told, ("a", "b & c"), [("mean", mean), ("n", 200)], {"line": figure})]

    listening("meaning", sections)
    text = report_of(hven.run(stars, trial.mean_feh, {"stars": "stars"}, cluster="synchronous"))
    assert "<h2>What it means</h2>" in text
    assert "<p>The mean of <code>mean_feh</code>.</p>" in text
    assert "<p>A &lt;script&gt;alert(1)&lt;/script&gt; is only text.</p>" in text
    assert "<th>b &amp; c</th>" in text
    assert "<td>n</td><td>200</td>" in text
    assert re.search(r'<img alt="line" src="data:image/png;base64,iVBOR', text)
    other = report_of(hven.run(stars, trial.doubled, {"stars": "stars"}, cluster="synchronous"))
    assert "What it means" not in other


def broken_figure(run):
    figure = Figure()
    figure.savefig = lambda *_, **__: 1 / 0
    return [ReportSection("Broken", figures={"f": figure})]


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        (lambda run: 1 / 0, "ZeroDivisionError"),
        (lambda run: exec("raise SystemExit(3)"), "SystemExit: 3"),
        (lambda run: ["<b>text</b>"], "TypeError: '<b>text</b>' is not a ReportSection"),
        (lambda run: 7, "TypeError"),
        (lambda run: [ReportSection("")], "DeclarationError: a report section has no title"),
        (broken_figure, "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_fails_at_its_section_is_told_and_the_others_are_in_the_report(stars, listening, sections, told):
    listening("first", lambda run: [ReportSection("First of all")])
    listening("bad", sections)
    listening("last", lambda run: [ReportSection("At the end")])
    run = hven.run(stars, trial.mean_feh, {"stars": "stars"}, cluster="synchronous")
    assert run.state == "succeeded"
    (caveat,) = run.caveats
    assert caveat.startswith("Plugin bad could not add its section to the report: ")
    assert told in caveat
    assert "section-failed" in [line["event"] for line in open_run(stars, run.id).record["log"]]
    text = report_of(run)
    assert "First of all" in text
    assert "At the end" in text
    assert "Plugin bad could not add" in text


def test_a_row_that_does_not_fit_its_headings_is_refused():
    with pytest.raises(DeclarationError, match="a row of the report section 'T' has 1 values"):
        ReportSection("T", columns=("a", "b"), rows=[(1,)])


def test_the_report_of_gradients_has_them_in_brief(small_survey, lake):
    stars, _ = small_survey
    with lake.transaction() as tx:
        tx.write("stars", stars)
    run = hven.run(lake, "metallicity_gradients", {"stars": "stars"}, {"bins": 2}, cluster="synchronous")
    assert not [caveat for caveat in run.caveats if "section" in caveat]
    text = report_of(run)
    assert "<h2>Gradients in brief</h2>" in text
    fits = run.result.dataset().compute()
    for population in range(2):
        slope, error = float(fits.slope[population]), float(fits.slope_err[population])
        assert f"<td>{slope:+.4f} ± {error:.4f}</td>" in text
        assert f"<td>{int(fits.n[population]):,}</td>" in text
        assert f"teff {float(fits.teff_low[population]):.4g} to" in text
    assert np.all(fits.slope < 0)


def test_no_section_comes_of_a_run_that_failed(small_survey, lake):
    stars, _ = small_survey
    with lake.transaction() as tx:
        tx.write("stars", stars.head(3))
    with pytest.raises(hven.errors.TooFewObjectsError):
        hven.run(lake, "metallicity_gradients", {"stars": "stars"}, {"bins": 2}, cluster="synchronous")
    (run,) = hven.compute.runs(lake)
    assert (run.state, run.caveats) == ("failed", [])
    assert "Gradients in brief" not in report_of(run)

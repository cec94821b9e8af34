import json
import re
from pathlib import Path

import pytest

import hven
from hven.cli.demo import PIPELINE
from hven.compute import read_pipeline


@pytest.fixture(scope="module")
def demo_lake(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "demo-lake"


@pytest.mark.t1
@pytest.mark.timeout(300)
def test_the_demo_finds_the_gradient_and_the_alpha_sequences_of_the_disc_in_40226_real_spectra(command, demo_lake):
    said = command(f"demo --lake {demo_lake} --workers 2")
    assert said.status == 0, said.err
    slope, error = map(float, re.search(r"gradient: ([-+.\d]+) \+/- ([.\d]+) dex/kpc", said.out).groups())
    assert slope == pytest.approx(-0.09, abs=0.015)
    assert 0.002 < error < 0.02
    split = re.search(
        r"parted by \[alpha/M\] = ([.\d]+) - ([.\d]+) \[Fe/H\] from \[Fe/H\] = -0\.5 to 0, "
        r"confidence ([.\d]+); (\d+) % of ([\d,]+) giants are high-alpha, (\d+) % low-alpha",
        said.out,
    ).groups()
    middle, fall, confidence, high, _, low = (float(one.replace(",", "")) for one in split)
    assert middle == pytest.approx(0.075, abs=0.02)
    assert fall == pytest.approx(0.25, abs=0.06)
    assert confidence > 0.3
    assert 15 < high < 35
    assert high + low in (99, 100, 101)
    assert re.search(r"Watch the workers at http://127\.0\.0\.1:\d+/status", said.out)
    (page,) = map(Path, re.findall(r"^Report: (.*\.html)$", said.out, re.MULTILINE))
    assert page == demo_lake / "pipelines/demo.html"
    assert page.read_text().count("<img") == 3
    links = re.findall(r'href="(\.\./runs/[^"]+)"', page.read_text())
    reports = {re.search(r"-(\w+)-", link)[1]: (page.parent / link).resolve() for link in links}
    assert set(reports) == {"apogee_distances", "metallicity_gradients", "alpha_copula", "alpha_split"}
    assert all("<img" in report.read_text() or "<svg" in report.read_text() for report in reports.values())
    lake = hven.open(demo_lake)
    assert lake["apogee"].entry.counts.rows == 40226
    assert {"apogee", "apogee_xp_spectra", *reports} < set(lake)

    number = lake.number
    again = command(f"demo --lake {demo_lake} --workers 2")
    assert again.status == 0, again.err
    assert again.out.count("up to date") == 4
    assert hven.open(demo_lake).number == number
    assert len(json.loads(command(f"runs --json --lake {demo_lake}").out)) == 4
    plan = json.loads(command(f"run -c {PIPELINE} --dry-run --json --lake {demo_lake}").out)
    assert plan["ingests"] == []
    assert [step["plan"]["action"] for step in plan["steps"]] == ["nothing"] * 4


def test_the_pipeline_of_the_demo_is_printed_for_copying(command, tmp_path):
    said = command("demo --print")
    assert said.status == 0
    (tmp_path / "disc.yaml").write_text(said.out)
    copied = read_pipeline(tmp_path / "disc.yaml")
    assert copied.needs["metallicity_gradients"] == ("apogee_distances",)
    assert copied.steps[2].selections["stars"].where == copied.steps[3].selections["stars"].where
    assert not copied.misfits


def test_a_fresh_demo_does_not_remove_what_is_not_a_lake(command, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    said = command(f"demo --fresh --lake {tmp_path}")
    assert said.status == 1
    assert "Error [lake-exists]" in said.err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"

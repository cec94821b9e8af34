import json
import re
from pathlib import Path

import pytest

import hven


@pytest.fixture(scope="module")
def demo_lake(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "demo-lake"


@pytest.mark.t1
@pytest.mark.timeout(300)
def test_the_demo_finds_the_gradient_of_the_disc_in_40226_real_spectra(command, demo_lake):
    said = command(f"demo --lake {demo_lake} --workers 2")
    assert said.status == 0, said.err
    slope, error = map(float, re.search(r"gradient: ([-+.\d]+) \+/- ([.\d]+) dex/kpc", said.out).groups())
    assert slope == pytest.approx(-0.09, abs=0.015)
    assert 0.002 < error < 0.02
    assert re.search(r"Watch the workers at http://127\.0\.0\.1:\d+/status", said.out)
    report = Path(re.search(r"Report: (.*\.html)", said.out)[1])
    assert "<html" in report.read_text()
    lake = hven.open(demo_lake)
    assert lake["apogee"].entry.counts.rows == 40226
    assert set(lake) == {"apogee", "apogee_distances", "apogee_xp_spectra", "metallicity_gradients"}

    again = command(f"demo --lake {demo_lake} --workers 2")
    assert again.status == 0, again.err
    assert "Ingesting" not in again.out
    assert hven.open(demo_lake).number == 3
    assert len(json.loads(command(f"runs --json --lake {demo_lake}").out)) == 2


def test_a_fresh_demo_does_not_remove_what_is_not_a_lake(command, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    said = command(f"demo --fresh --lake {tmp_path}")
    assert said.status == 1
    assert "Error [lake-exists]" in said.err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"

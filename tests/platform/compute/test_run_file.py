import json

import pytest

import hven
import trial_analyses as trial
from hven.compute import read_run_file
from hven.errors import ParameterError, RegionError, RunFileError


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "fit.yaml"
        path.write_text(text)
        return path

    return write


def test_a_file_says_all_that_the_options_say(written):
    told = read_run_file(
        written("""
            analysis: weighted
            inputs: {stars: apogee@dr1+distances, spectra: apogee_xp_spectra}
            where: {stars: logg > 2.3 AND name <> 'a = b'}
            region: cone(190, 5, 1)
            columns:
              stars: {feh: m_h}
              spectra.flux: f
              teff: t_eff
            parameters: {bins: 4, r_ref: 8.2 kpc, columns: [mg_fe, si_fe], robust: true}
            output: mine
            cluster: tcp://scheduler:8786
            workers: 3
        """)
    )
    assert (told.analysis, told.output, told.cluster, told.workers) == ("weighted", "mine", "tcp://scheduler:8786", 3)
    assert told.parameters == {"bins": 4, "r_ref": "8.2 kpc", "columns": ["mg_fe", "si_fe"], "robust": True}
    selections = told.selections(trial.weighted)
    assert selections["stars"].to_json() == {
        "datasets": "apogee@dr1+distances",
        "where": "logg > 2.3 AND name <> 'a = b'",
        "region": hven.sky.cone(190, 5, 1).to_text(),
        "columns": {"feh": "m_h", "teff": "t_eff"},
    }
    assert selections["spectra"].to_json()["columns"] == {"flux": "f"}
    assert selections["spectra"].region is None


def test_json_is_read_as_well_and_one_input_needs_no_name(written):
    said = {"analysis": "mean_feh", "inputs": "apogee", "where": "feh > 0", "parameters": None}
    told = read_run_file(written(json.dumps(said)))
    assert told.selections(trial.mean_feh)["stars"].text == "apogee"
    assert told.parameters == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("analyses: x", "no key 'analyses'.*Did you mean 'analysis'"),
        ("quality: 4", "no key 'quality'.*The keys are: analysis, inputs"),
        ("analysis: [1", "not YAML"),
        ("just text", "the file is 'just text'"),
        ("analysis: 7", "analysis is 7"),
        ("inputs: {stars: 7}", r"inputs\.stars is 7"),
        ("inputs: [apogee]", r"inputs is \['apogee'\]"),
        ("columns: feh", "columns is 'feh'"),
        ("columns: {stars: {feh: 1}}", r"columns\.stars\.feh is 1"),
        ("parameters: [1]", "parameters is"),
        ("workers: 0", "workers is 0"),
        ("workers: true", "workers is True"),
        ("workers: two", "workers is 'two'"),
        pytest.param("[" * 5000, "too deep", id="brackets"),
        ("with: abs_g", "with is 'abs_g'"),
        ("with: {abs_g: 3}", r"with\.abs_g is 3"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_with_its_name(written, text, told):
    path = written(text)
    with pytest.raises(RunFileError, match=told) as refused:
        read_run_file(path)
    assert refused.value.where == str(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunFileError, match=r"cannot be read.*none\.yaml"):
        read_run_file(tmp_path / "none.yaml")


def test_what_is_said_of_an_input_that_there_is_not_is_refused(written):
    told = read_run_file(written("{inputs: {stars: a}, where: {strs: feh > 0}}"))
    with pytest.raises(ParameterError, match=r"no input 'strs'.*where.*Did you mean 'stars'"):
        told.selections(trial.mean_feh)
    with pytest.raises(RegionError):
        read_run_file(written("{inputs: a, region: 'ball(1)'}")).selections(trial.mean_feh)

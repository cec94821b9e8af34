"""Parameters of an analysis as options of `hven run`, and a run described in a file."""

import json
import re

import pytest

FILE = """
analysis: red_clump_distances
inputs: {stars: stars}
where: logg > 2.5
columns: {stars.ks_mag: h_mag}
parameters: {scatter: 0.1, r0: 8000 pc}
output: from_file
cluster: synchronous
"""


@pytest.fixture
def in_lake(command, own_lake):
    return lambda text: command(f"{text} --lake '{own_lake.url}'")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fit.yaml"
    path.write_text(FILE)
    return path


def test_the_help_of_a_run_tells_the_parameters_of_the_analysis_that_is_named(command):
    said = command("run metallicity_gradients --help")
    assert said.status == 0
    assert "Usage" in said.out
    (line,) = [line for line in said.out.splitlines() if line.strip().startswith("--bins")]
    for told in ("a whole number from 1 to 100", "How many populations"):
        assert told in line
    (line,) = [line for line in said.out.splitlines() if line.strip().startswith("--r-ref")]
    assert "a number, in kpc" in line
    assert "8.122" in line
    before = command("run --output metallicity_gradients --help").out
    assert "--bins" not in before.partition("Options")[2].replace("`--bins 10`", "").partition("Parameters of")[2]


def test_parameters_are_options(in_lake):
    given = "--input stars=stars --cluster synchronous --output by_options --json"
    said = in_lake(f"run --scatter 0.2 red_clump_distances --r0='7900 pc' {given} -p logg_max=2.6 --z-sun -0.01")
    assert said.status == 0, said.err
    parameters = json.loads(said.out)["parameters"]
    assert [parameters[name] for name in ("scatter", "r0", "logg_max", "z_sun")] == [0.2, 7.9, 2.6, -0.01]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--bin 2", "--bin is neither an option of this verb nor a parameter of 'metallicity_gradients'. .*'--bins'"),
        ("--outptu x", "--outptu is neither an option.*'--output'"),
        ("--bins 0", "parameter 'bins' is '0'.*a whole number from 1 to 100"),
        ("--bins 2 -p bins=3", "parameter 'bins' is given twice"),
        ("--bins 2 --bins=2", "parameter 'bins' is given twice"),
        ("--r-ref '8 km/s'", "parameter 'r_ref' is '8 km/s'.*a number, in kpc"),
    ],
)
def test_an_option_that_is_none_or_out_of_range_is_refused_by_name(in_lake, options, told):
    said = in_lake(f"run metallicity_gradients --input stars {options}")
    assert said.status == 1
    assert re.search(told, said.err), said.err


def test_an_option_without_its_value_is_told(command):
    assert "--bins has no value" in command("run metallicity_gradients --input stars --bins").err


def test_a_file_describes_a_run_and_options_count_more(in_lake, file):
    said = in_lake(f"run -c '{file}' --json")
    assert said.status == 0, said.err
    record = json.loads(said.out)
    assert (record["output"], record["parameters"]["scatter"], record["parameters"]["r0"]) == ("from_file", 0.1, 8.0)
    assert record["inputs"]["stars"]["where"] == "logg > 2.5"
    assert record["inputs"]["stars"]["columns"] == {"ks_mag": "h_mag"}
    given = "--scatter 0.3 -p z_sun=0 --where 'logg > 2.6' --column ks_mag=j_mag --output other --json"
    said = in_lake(f"run red_clump_distances --config '{file}' {given}")
    assert said.status == 0, said.err
    record = json.loads(said.out)
    assert (record["output"], record["parameters"]["scatter"], record["parameters"]["r0"]) == ("other", 0.3, 8.0)
    assert record["inputs"]["stars"]["where"] == "logg > 2.6"
    assert record["inputs"]["stars"]["columns"] == {"ks_mag": "j_mag"}


def test_a_dry_run_of_a_file_tells_what_would_be_done(in_lake, file, own_lake):
    file.write_text(FILE.replace("from_file", "never_made"))
    said = in_lake(f"run -c '{file}' --dry-run --json")
    assert json.loads(said.out)["output"] == "never_made"
    assert "never_made" not in own_lake


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (("where:", "were:"), "bad-run-file", "no key 'were'"),
        (("scatter: 0.1", "scatter: -1"), "bad-parameter", "parameter 'scatter' is -1"),
        (("scatter: 0.1", "scater: 3"), "bad-parameter", "no parameter 'scater'"),
        (("{stars: stars}", "{strs: stars}"), "bad-parameter", "no input 'strs'"),
        (("analysis: red_clump_distances", ""), "bad-parameter", "no analysis is named"),
        (("stars: stars", "stars: strs"), "dataset-not-found", "Did you mean 'stars'"),
    ],
)
def test_a_file_with_a_mistake_is_refused_before_anything_runs(in_lake, file, own_lake, change, code, told):
    before = own_lake.number
    file.write_text(FILE.replace(*change))
    said = in_lake(f"run -c '{file}'")
    assert said.status == 1
    assert said.err.startswith(f"Error [{code}]: ")
    assert told in said.err
    assert own_lake.number == before


def test_a_file_for_another_analysis_is_refused(in_lake, file):
    said = in_lake(f"run metallicity_gradients -c '{file}'")
    assert "the command names the analysis 'metallicity_gradients', and the file 'red_clump_distances'" in said.err


def test_a_run_without_analysis_or_input_says_what_is_missing(in_lake):
    assert "no analysis is named" in in_lake("run --input stars=stars").err
    assert "input 'stars' is not given" in in_lake("run metallicity_gradients").err

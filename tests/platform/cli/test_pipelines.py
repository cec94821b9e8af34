"""Pipelines on the command line: run, planned, refused, and printed."""

import json
import shutil

import pytest

import hven

CHAIN = """
steps:
  - analysis: metallicity_gradients
    inputs: {stars: stars}
    where: logg > 2.3
    parameters: {bins: 1, n_min: 30}
    output: gradients
  - {analysis: red_clump_distances, inputs: {stars: stars}, output: distances}
  - analysis: copula_density
    inputs: stars+distances
    parameters: {columns: [feh, distance], n_boot: 10}
    output: copula
cluster: synchronous
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    path = tmp_path_factory.mktemp("pipelines") / "chain.yaml"
    path.write_text(CHAIN)
    return path


@pytest.fixture
def lake(tmp_path, small_lake):
    shutil.copytree(small_lake.url, tmp_path / "lake")
    return hven.open(tmp_path / "lake")


def test_a_pipeline_is_planned_run_and_found_up_to_date(command, lake, chain):
    plan = command(f"run -c {chain} --dry-run --lake {lake.url}")
    assert plan.status == 0, plan.err
    assert "'distances' comes first" in plan.out
    assert plan.out.endswith("Nothing was run.\n")
    planned = json.loads(command(f"run -c {chain} --dry-run --json --lake {lake.url}").out)
    assert {step["name"]: step["after"] for step in planned["steps"]} == {
        "gradients": [],
        "distances": [],
        "copula": ["distances"],
    }
    number = lake.number
    said = command(f"run -c {chain} --lake {lake.url}")
    assert said.status == 0, said.err
    assert "distances: succeeded with caveats, from 600 objects" in said.out
    page = f"Report: {lake.url}/pipelines/chain.html"
    assert said.out.endswith(f"{page}\nAll steps succeeded.\n")
    assert lake.number == number + 3
    again = command(f"run -c {chain} --lake {lake.url}")
    assert again.out.splitlines() == [
        "gradients: up to date",
        "distances: up to date",
        "copula: up to date",
        page,
        "Everything was up to date.",
    ]
    assert command(f"run -c {chain} --dry-run --lake {lake.url}").out.endswith("Everything is up to date.\n")
    told = json.loads(command(f"run -c {chain} --json --lake {lake.url}").out)
    assert (told["is_well"], [step["state"] for step in told["steps"]]) == (True, ["up to date"] * 3)
    assert (f"Report: {told['report']}", told["caveats"]) == (page, [])
    assert lake.number == number + 3


def test_the_pipeline_of_a_result_is_printed_and_can_be_run(command, lake, chain, tmp_path):
    assert command(f"run -c {chain} --lake {lake.url}").status == 0
    said = command(f"pipeline copula --lake {lake.url}")
    assert said.status == 0, said.err
    (tmp_path / "copula.yaml").write_text(said.out)
    assert said.out.startswith("steps:\n- analysis: red_clump_distances\n  output: distances\n")
    assert command(f"run -c {tmp_path}/copula.yaml --lake {lake.url}").out.endswith("Everything was up to date.\n")
    listed = json.loads(command(f"pipeline --json --lake {lake.url}").out)
    assert [step.get("output") for step in listed["steps"]] == ["distances", "gradients", "copula"]
    none = command(f"pipeline stars --lake {lake.url}")
    assert (none.status, "not the result of a run" in none.err) == (1, True)


def test_everything_that_does_not_fit_is_printed_a_line_each(command, lake, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(CHAIN.replace("logg >", "lgg >").replace("n_min", "nmin").replace("cluster:", "clster:"))
    number = lake.number
    said = command(f"run -c {path} --lake {lake.url}")
    assert said.status == 1
    first, *others = said.err.splitlines()
    assert first.startswith("Error [bad-pipeline]: 3 things do not fit in the pipeline")
    assert [line.strip().split("]")[0] for line in others] == [
        "[bad-run-file",
        "gradients: [bad-parameter",
        "gradients: [missing-column",
    ]
    assert lake.number == number


def test_a_report_that_is_to_show_what_is_no_step_is_refused_before_anything_runs(command, lake, tmp_path):
    path = tmp_path / "chain.yaml"
    path.write_text("report: {show: [gradient, {step: copula, figure: x}]}\n" + CHAIN)
    said = command(f"run -c {path} --lake {lake.url}")
    assert said.status == 1
    assert "the report is to show 'gradient', which is no step" in said.err
    assert "Did you mean 'gradients'?" in said.err
    assert "there is no key 'figure'" in said.err
    assert json.loads(command(f"runs --json --lake {lake.url}").out) == []
    assert not (tmp_path / "lake/pipelines").exists()


def test_a_step_that_fails_is_told_at_the_end_and_the_others_are_run(command, lake, tmp_path):
    path = tmp_path / "chain.yaml"
    path.write_text(CHAIN.replace("logg > 2.3", "logg > 9"))
    said = command(f"run -c {path} --lake {lake.url}")
    assert said.status == 1
    assert "gradients: failed. [too-few-objects]" in said.out
    assert said.out.endswith("Not well: gradients (failed). The same command tries again what is left.\n")
    assert {"distances", "copula"} < set(lake)
    page = (tmp_path / "lake/pipelines/chain.html").read_text()
    assert "<b>gradients: too-few-objects</b>" in page


def test_a_schedule_keeps_the_pipeline_of_a_file(command, lake, chain):
    added = command(f"schedule add chain -c {chain} --on-change stars --lake {lake.url} --json")
    assert added.status == 0, added.err
    assert [step["output"] for step in json.loads(added.out)["pipeline"]["steps"]] == [
        "gradients",
        "distances",
        "copula",
    ]
    listed = json.loads(command(f"schedule ls --json --lake {lake.url}").out)["chain"]
    assert listed["result"] == "gradients, distances, copula"
    assert "a pipeline" in command(f"schedule show chain --lake {lake.url}").out
    both = command(
        f"schedule add other metallicity_gradients -i stars=stars -c {chain} --cron @daily --lake {lake.url}"
    )
    assert (both.status, "several things to run" in both.err) == (1, True)


BESIDE = ("metallicity_gradients", "-p bins=2", "--bins 2", "--where 'logg > 2'", "--output x")


@pytest.mark.parametrize("beside", BESIDE)
def test_options_of_one_analysis_are_refused_beside_a_pipeline(command, lake, chain, beside):
    said = command(f"run {beside} -c {chain} --lake {lake.url}")
    assert said.status == 1
    assert "is said of one analysis, and the file describes a pipeline" in said.err

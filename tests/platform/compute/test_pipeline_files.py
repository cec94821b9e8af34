"""The file of a pipeline: the words of run files, step by step."""

import json

import pytest

import hven
from hven import errors
from hven.compute import PipelineReport, ShownStep, is_pipeline, pipeline_told, read_pipeline


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "chain.yaml"
        path.write_text(text)
        return path

    return write


CHAIN = """
ingest:
  - {name: apogee, reader: csv, files: [stars-*.csv, s3://surveys/more.csv], options: {rows: 3}}
steps:
  - analysis: metallicity_gradients
    inputs: apogee@dr1+distances
    where: logg > 2.3
    region: {stars: 'cone(190, 5, 1)'}
    columns: {feh: m_h, stars.feh_err: e_m_h}
    parameters: {bins: 4, r_ref: 8200 pc}
    output: gradients
  - {analysis: red_clump_distances, inputs: {stars: apogee}, output: distances}
cluster: synchronous
workers: 3
"""


def test_a_file_says_what_steps_in_python_say(written):
    told = read_pipeline(written(CHAIN))
    assert (told.cluster, told.workers, told.misfits) == ("synchronous", 3, ())
    (intake,) = told.ingest
    assert intake.files == (str(written(CHAIN).parent / "stars-*.csv"), "s3://surveys/more.csv")
    assert intake.options == {"rows": 3}
    gradients, distances = told.steps
    assert gradients.selections["stars"].to_json() == {
        "datasets": "apogee@dr1+distances",
        "where": "logg > 2.3",
        "region": hven.sky.cone(190, 5, 1).to_text(),
        "columns": {"feh": "m_h", "feh_err": "e_m_h"},
    }
    assert gradients.parameters == {"bins": 4, "r_ref": "8200 pc"}
    assert gradients.takes == ("distances",), "what is named with a version stays as it is"
    assert told.needs == {"gradients": ("distances",), "distances": ()}
    assert (distances.name, distances.makes) == ("distances", ("distances",))


def test_what_is_written_is_read_again(written):
    told = read_pipeline(written(CHAIN))
    again = read_pipeline(written(told.to_yaml()))
    assert again.to_json() == told.to_json()
    assert again.needs == told.needs


REPORT = """
report:
  title: "The disc: fitted"
  text: |
    One paragraph, of
    two lines.

    Another: 'quoted' & `code`.
  show:
    - gradients
    - {step: distances, figures: map, text: Above it.}
    - {step: distances, figures: [], sections: [In brief, At length]}
"""


def test_what_a_page_is_to_tell_is_read_and_written(written):
    told = read_pipeline(written(REPORT + CHAIN))
    assert told.report == PipelineReport(
        "The disc: fitted",
        "One paragraph, of\ntwo lines.\n\nAnother: 'quoted' & `code`.\n",
        (
            "gradients",
            ShownStep("distances", "Above it.", ("map",)),
            ShownStep("distances", "", (), ("In brief", "At length")),
        ),
    )
    assert "  text: |\n    One paragraph, of\n    two lines.\n\n    Another" in told.to_yaml(), "as people write it"
    assert read_pipeline(written(told.to_yaml())).report == told.report
    assert pipeline_told(json.loads(json.dumps(told.to_json())), "").report == told.report
    assert "report" not in read_pipeline(written(CHAIN)).to_json()
    assert [one.step for one in told.report.shown([])] == ["gradients", "distances", "distances"]
    assert [one.step for one in PipelineReport().shown(["a", "b"])] == ["a", "b"]
    assert PipelineReport(show=()).to_json() == {"show": []}


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ("7", "report is 7"),
        ("{titel: x}", "no key 'titel'.*Did you mean 'title'"),
        ("{title: [x]}", r"report.title is \['x'\].*text"),
        ("{text: 7}", "report.text is 7"),
        ("{show: a}", "report.show is 'a'.*a step in each item"),
        ("{show: [7]}", "an item of report.show is 7"),
        ("{show: [{figures: [x]}]}", "an item of report.show is .*with its 'step'"),
        ("{show: [distance]}", "to show 'distance', which is no step.*Did you mean 'distances'"),
        ("{show: [{step: zzz}]}", "to show 'zzz', which is no step.*The steps are: distances"),
        ("{show: [{step: distances, figure: x}]}", "no key 'figure'.*Did you mean 'figures'"),
        ("{show: [{step: distances, figures: 7}]}", "report.show.figures is 7.*a list of names"),
        ("{show: [{step: distances, sections: [1]}]}", r"report.show.sections is \[1\]"),
        ("{show: [{step: distances, text: [x]}]}", r"report.show.text is \['x'\]"),
    ],
)
def test_a_report_that_cannot_be_understood_is_told_before_anything_runs(written, small_lake, report, told):
    steps = "steps: [{analysis: red_clump_distances, inputs: stars, output: distances}]"
    with pytest.raises(errors.PipelineError, match=told) as refused:
        hven.run_pipeline(small_lake, written(f"report: {report}\n{steps}"))
    assert len(refused.value.misfits) == 1
    assert hven.runs(small_lake) == []


def test_a_text_that_stands_twice_is_said_once_with_an_anchor(written):
    told = read_pipeline(
        written("""
            steps:
              - {analysis: metallicity_gradients, inputs: a, where: &giants logg < 3}
              - {analysis: red_clump_distances, inputs: a, where: *giants}
        """)
    )
    assert [step.selections["stars"].where for step in told.steps] == ["logg < 3"] * 2


def test_a_file_with_steps_is_a_pipeline_and_one_with_an_analysis_is_not(written):
    assert is_pipeline(written("steps: []"))
    assert is_pipeline(written("ingest: [{name: a}]"))
    assert not is_pipeline(written("analysis: metallicity_gradients"))
    with pytest.raises(errors.RunFileError, match="not YAML"):
        is_pipeline(written("steps: [1"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: [{analysis: red_clump_distances, inputs: stars}]\nstep: 1", "no key 'step'.*Did you mean 'steps'"),
        ("steps: [{analysi: red_clump_distances, inputs: stars}]", "step 1: .*no key 'analysi'.*'analysis'"),
        ("steps: [{inputs: stars}]", "step 1: .*no analysis is named"),
        ("steps: [{analysis: 7, inputs: stars}]", "step 1: .*analysis is 7"),
        ("steps: [{analysis: red_clump_distances, inputs: stars, workers: 2}]", "'workers'.*once, for the whole"),
        ("steps: {a: b}", r"steps is \{'a': 'b'\}"),
        ("steps: []", r"steps is \[\].*an analysis in each"),
        ("ingest: [{name: a, reader: csv, files: a.csv}]", "steps is None"),
        ("steps: [red_clump_distances]", "an item of steps is 'red_clump_distances'"),
        ("steps: [{analysis: red_clump_distances, inputs: {star: stars}}]", "no input 'star'.*Did you mean 'stars'"),
        ("steps: [{analysis: red_clump_distances, inputs: {stars: 7}}]", r"inputs\.stars is 7"),
        ("steps: [{analysis: red_clump_distances, inputs: stars, region: ball(1)}]", "bad-region"),
        ("steps: [{analysis: red_clump_distances, inputs: a b/c}]", "does not name a dataset"),
        ("steps: [{analysis: red_clump_distances, where: ra > 1}]", "where is said of input 'stars', which is not"),
        ("{steps: [{analysis: red_clump_distances, inputs: stars}], workers: 0}", "workers is 0"),
        ("ingest: [{name: x, reder: csv}]\nsteps: [{analysis: a}]", "x: .*no key 'reder'.*'reader'"),
        ("ingest: [{reader: csv}]\nsteps: [{analysis: a}]", "ingest 1: .*has no name"),
        ("ingest: [{name: x, files: 7}]\nsteps: [{analysis: a}]", "files is 7"),
        ("ingest: [{name: x, reader: csv, files: a.csv, options: 7}]\nsteps: [{analysis: a}]", "options is 7"),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_step(written, small_lake, text, told):
    with pytest.raises(errors.PipelineError, match=told) as refused:
        hven.plan_pipeline(small_lake, written(text))
    assert refused.value.where.endswith("chain.yaml")


def test_misfits_of_the_file_and_of_the_lake_are_told_together(written, small_lake):
    path = written("""
        steps:
          - {analysis: red_clump_distances, inputs: strs, wher: ra > 1}
          - {analysis: metallicity_gradient, inputs: stars}
          - {analysis: metallicity_gradients, inputs: stars, parameters: {bin: 4, r_ref: far}, where: loggg > 1}
        worker: 3
    """)
    with pytest.raises(errors.PipelineError) as refused:
        hven.run_pipeline(small_lake, path)
    assert [(step, error.code) for step, error in refused.value.misfits] == [
        ("", "bad-run-file"),
        ("red_clump_distances", "bad-run-file"),
        ("red_clump_distances", "dataset-not-found"),
        ("metallicity_gradient", "unknown-analysis"),
        ("metallicity_gradients", "bad-parameter"),
        ("metallicity_gradients", "bad-parameter"),
        ("metallicity_gradients", "missing-column"),
    ]


def test_one_thing_said_twice_is_refused_where_yaml_would_take_the_last(written):
    with pytest.raises(errors.RunFileError, match="key 'steps' is given twice, again in line 2"):
        read_pipeline(written("steps: [{analysis: a}]\nsteps: [{analysis: b}]"))
    with pytest.raises(errors.RunFileError, match="key 'bins' is given twice"):
        hven.compute.read_run_file(written("parameters: {bins: 1, bins: 2}"))

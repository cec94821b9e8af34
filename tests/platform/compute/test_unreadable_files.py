"""One file that is torn, or a run that was killed before it had a record, stops nothing but itself."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

import hven
import trial_analyses as trial
from hven import errors
from hven.cli import app
from hven.compute import open_run, runs, unreadable_runs
from hven.compute.journal import Journal
from hven.compute.ledger import read_ledger
from hven.compute.presence import who_is_present

TORN = [b"", b'{"format": 1, "id"', b"[]", b'{"format": 1}', b"\xff\xfe"]


def run_it(lake, output=None, **how):
    return hven.run(
        lake, trial.doubled, {"stars": "stars"}, cluster="synchronous", block_rows=1_000, output=output, **how
    )


@pytest.mark.parametrize("text", [None, *TORN])
def test_a_run_without_a_whole_record_stops_no_list_and_no_other_run(survey, text):
    good = run_it(survey)
    # The same beginning and end: what a kill between the folder and its record leaves of a rerun of the same.
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    broken = f"{stamp}-doubled-{good.key[:6]}.7"
    if text is None:
        (survey.store.local_path / "runs" / broken).mkdir()
    else:
        survey.store.put(f"runs/{broken}/record.json", text)
    assert [run.id for run in runs(survey)] == [good.id]
    assert set(unreadable_runs(survey)) == (set() if text is None else {broken})
    assert run_it(survey).id == good.id
    with survey.transaction() as tx:
        tx.delete("stars", "feh > 0.5")
    assert run_it(survey).state == "succeeded"
    with pytest.raises(errors.RunNotFoundError if text is None else errors.LakeFormatError):
        open_run(survey, broken)
    said = CliRunner().invoke(app, ["runs", "--lake", survey.url])
    assert said.exit_code == 0, said.output
    assert ("cannot be read" in said.output) == (text is not None)


def test_a_run_whose_output_has_dots_in_its_name_is_resumed(survey, calls):
    parameters = {"folder": str(calls)}
    given = {"stars": "stars"}
    with pytest.raises(KeyboardInterrupt):
        hven.run(
            survey,
            trial.interrupted,
            given,
            parameters,
            cluster="synchronous",
            block_rows=1_000,
            output="dr1.v2.doubled",
        )
    broken = runs(survey)[0]
    assert broken.output == "dr1.v2.doubled"
    again = hven.resume(survey, broken.id, analysis=trial.interrupted, cluster="synchronous")
    assert (again.id, again.state) == (broken.id, "succeeded")


@pytest.mark.parametrize("text", TORN)
def test_a_journal_file_that_is_torn_leaves_its_blocks_to_be_computed_again(survey, calls, text):
    parameters, given = {"folder": str(calls)}, {"stars": "stars"}
    with pytest.raises(KeyboardInterrupt):
        hven.run(
            survey,
            trial.interrupted,
            given,
            parameters,
            cluster="synchronous",
            block_rows=1_000,
            checkpoint_blocks=1,
            output="out",
        )
    broken = runs(survey)[0]
    first = survey.store.list(f"{broken.folder}/journal")[0]
    survey.store.put(first, text)
    again = hven.resume(survey, broken.id, analysis=trial.interrupted, cluster="synchronous")
    assert again.state == "succeeded"
    assert survey["out"].entry.counts.rows == survey["stars"].entry.counts.rows


def test_the_next_file_of_a_journal_comes_after_the_last_also_when_one_is_gone(survey):
    whole = json.dumps({"blocks": [], "schemas": {}, "snapshots": {}}).encode()
    for number in (0, 2):
        survey.store.put(f"runs/x/journal/{number:08d}.json", whole)
    journal = Journal(survey.store, "runs/x/journal")
    list(journal.results())
    journal.flush({"result": ("data/x/1/arrays", "s")})
    assert survey.store.exists("runs/x/journal/00000003.json")


@pytest.mark.parametrize("text", TORN)
def test_a_torn_ledger_presence_log_or_request_is_none(survey, text):
    run = run_it(survey)
    survey.store.put(f"{run.folder}/ledger.parquet", text)
    assert read_ledger(survey.store, f"{run.folder}/ledger.parquet") is None
    survey.store.put(f"{run.folder}/presence/by.json", text)
    assert who_is_present(survey.store, run.folder) == "a process"
    survey.store.put(f"{run.folder}/log.jsonl", b'{"event": "a"}\n' + text)
    assert open_run(survey, run.id).record["log"][0] == {"event": "a"}
    with survey.transaction() as tx:
        tx.delete("stars", "feh > 0.5")
    assert run_it(survey).state == "succeeded"


@pytest.mark.parametrize("text", TORN)
def test_a_torn_release_stops_no_other_and_no_vacuum_takes_what_it_may_keep(survey, text):
    survey.release("dr1")
    survey.store.put("releases/dr2.json", text)
    assert survey.releases() == {"dr1": 2}
    assert hven.open(f"{survey.url}@dr1").number == 2
    with pytest.raises(errors.LakeFormatError, match="release 'dr2' is damaged"):
        hven.open(f"{survey.url}@dr2")
    with pytest.raises(errors.LakeFormatError, match="release 'dr2' is damaged"):
        survey.vacuum(keep=1, grace=timedelta(0))

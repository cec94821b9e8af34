import json

ADD = "schedule add nightly metallicity_gradients --input stars=stars --bins 1 --cron '0 3 * * *'"


def test_a_schedule_is_added_listed_run_when_due_and_removed(command, own_lake):
    lake = f"--lake '{own_lake.url}'"
    said = command(f"{ADD} --on-change stars --output tonight {lake}")
    assert said.status == 0, said.err
    listed = json.loads(command(f"schedule ls --json {lake}").out)
    assert listed["nightly"]["cron"] == "0 3 * * *"
    assert "never" in command(f"schedule ls {lake}").out

    ticked = command(f"schedule tick --cluster synchronous --json {lake}")
    assert ticked.status == 0, ticked.err
    [firing] = json.loads(ticked.out)
    assert (firing["outcome"], firing["reason"]) == ("succeeded", "a change of stars")
    assert "tonight" in own_lake
    assert "Nothing is due" in command(f"schedule tick --cluster synchronous {lake}").out
    assert "succeeded" in command(f"schedule ls {lake}").out

    assert command(f"schedule rm nightly {lake}").status == 0
    assert json.loads(command(f"schedule ls --json {lake}").out) == {}


def test_a_schedule_that_cannot_work_is_refused_when_it_is_added(command, own_lake):
    lake = f"--lake '{own_lake.url}'"
    add = "schedule add x metallicity_gradients --input stars=stars"
    wrong = {
        f"{add} {lake}": "bad-schedule",
        f"{add} --cron 'every day' {lake}": "bad-schedule",
        f"schedule add x metallicity_gradient --input stars=stars --cron '0 3 * * *' {lake}": "unknown-analysis",
        f"{add} -p bins=0 --cron '0 3 * * *' {lake}": "bad-parameter",
        f"schedule add x metallicity_gradients --input stars=strs --cron '0 3 * * *' {lake}": "dataset-not-found",
        f"schedule rm x {lake}": "bad-schedule",
    }
    for text, code in wrong.items():
        said = command(text)
        assert said.status == 1, text
        assert said.err.startswith(f"Error [{code}]"), text

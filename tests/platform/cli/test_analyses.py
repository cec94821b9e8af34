import json


def test_plugins_lists_what_each_brings(command):
    said = command("plugins")
    assert said.status == 0
    assert "red_clump_distances" in said.out
    found = {plugin["name"]: plugin for plugin in json.loads(command("plugins --json").out)}
    assert found["gaia_xp"]["brings"]["readers"] == ["apogee_xp_library"]
    assert found["gaia_xp"]["distribution"] == "hven"


def test_analyses_lists_all_and_shows_one_as_a_card(command):
    assert "red_clump_distances" in command("analyses").out
    card = command("analyses red_clump_distances").out
    assert all(word in card for word in ("Inputs", "Parameters", "Produces", "kpc", "allowed", "required"))
    told = json.loads(command("analyses red_clump_distances --json").out)
    assert told["per_object"] is True
    assert "red_clump_distances" in [a["name"] for a in json.loads(command("analyses --json").out)]


def test_an_unknown_analysis_is_told_with_the_nearest(command):
    said = command("analyses red_clump_distance")
    assert said.status == 1
    assert "unknown-analysis" in said.err
    assert "red_clump_distances" in said.err

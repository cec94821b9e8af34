import json
import sys
from importlib import metadata
from types import ModuleType

import hven
from hven.plugins import PluginRegistry


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
    assert "a number above 0, in kpc" in card
    told = json.loads(command("analyses red_clump_distances --json").out)
    assert told["per_object"] is True
    distance = told["parameters"]["properties"]["r0"]
    assert (distance["unit"], distance["exclusiveMinimum"], distance["type"]) == ("kpc", 0, "number")
    assert "Galactic centre" in distance["description"]
    assert "red_clump_distances" in [a["name"] for a in json.loads(command("analyses --json").out)]


def test_an_unknown_analysis_is_told_with_the_nearest(command):
    said = command("analyses red_clump_distance")
    assert said.status == 1
    assert "unknown-analysis" in said.err
    assert "red_clump_distances" in said.err


def test_why_a_plugin_is_not_loaded_is_said_shortly_and_whole_with_traceback(command, monkeypatch):
    points = metadata.EntryPoints(
        [
            metadata.EntryPoint("broken", "no_such_module_anywhere", "hven.plugins"),
            metadata.EntryPoint("future", "made_up_future", "hven.plugins"),
            metadata.EntryPoint("typo", "made_up_typo", "hven.plugins"),
        ]
    )
    future, typo = ModuleType("made_up_future"), ModuleType("made_up_typo")
    future.HVEN_API = 9

    @hven.hookimpl
    def hven_analysis():
        return []

    typo.hven_analysis = hven_analysis
    for module in (future, typo):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("hven.plugins.plugins", lambda: PluginRegistry(points))
    said = command("plugins")
    assert said.status == 0
    assert "broken: it cannot be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'" in said.out
    assert "--traceback shows where" in said.out
    assert "Traceback" not in said.out
    assert "future: it is written for version 9 of the plugin API, and this hven has 1" in said.out
    assert "typo: there is no hook 'hven_analysis'. Did you mean 'hven_analyses'" in said.out
    whole = command("plugins --traceback").out
    assert "Traceback (most recent call last)" in whole
    assert 'File "<frozen importlib._bootstrap>"' in whole

import json

import pytest


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    monkeypatch.setenv("HVEN_CONFIG", str(path))
    return path


def state_of(said, name):
    (told,) = [plugin for plugin in json.loads(said.out) if plugin["name"] == name]
    return told["state"], told["reason"]


def test_a_plugin_is_disabled_and_enabled_in_the_settings(command, config):
    said = command("plugin disable files")
    assert (said.status, said.out) == (0, f"files is disabled in {config}.\n")
    assert state_of(command("plugins --json"), "files") == ("disabled", f"disabled by {config}")
    assert "csv" not in command("plugins").out
    assert command("plugin enable files").status == 0
    assert state_of(command("plugins --json"), "files") == ("loaded", "")


@pytest.mark.parametrize("text", ["--disable-plugin files plugins --json", "plugins --json --disable-plugin=files"])
def test_a_flag_disables_a_plugin_for_one_command_wherever_it_stands(command, text):
    assert state_of(command(text), "files") == ("disabled", "disabled by --disable-plugin")
    assert state_of(command("plugins --json"), "files") == ("loaded", "")


def test_a_flag_enables_what_the_settings_disable(command, config):
    command("plugin disable files")
    assert state_of(command("plugins --json --enable-plugin files"), "files")[0] == "loaded"
    only = json.loads(command("plugins --json --disable-plugin all --enable-plugin gradients").out)
    assert [plugin["name"] for plugin in only if plugin["state"] == "loaded"] == ["gradients"]


def test_who_has_the_last_word_is_told(command, config, monkeypatch):
    monkeypatch.setenv("HVEN_DISABLE_PLUGINS", "files")
    assert "Yet HVEN_DISABLE_PLUGINS has it disabled" in command("plugin enable files").out


@pytest.mark.parametrize("text", ["plugin disable fils", "plugin enable fils", "plugins --disable-plugin fils"])
def test_an_unknown_plugin_is_told_with_the_nearest(command, config, text):
    said = command(text)
    assert said.status == 1
    assert said.err.startswith("Error [unknown-plugin]: no plugin 'fils' is installed. Did you mean 'files'?")


def test_an_analysis_that_is_missing_may_be_one_of_a_disabled_plugin(command):
    said = command("analyses metallicity_gradients --disable-plugin gradients")
    assert "Not loaded: gradients" in said.err


def test_a_new_plugin_is_written_with_what_to_do_next(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = command("plugin new my-survey --path plugins")
    assert said.status == 0
    assert (tmp_path / "plugins/my-survey/pyproject.toml").is_file()
    assert "cd plugins/my-survey" in said.out
    assert "hven run my_survey_colours --input stars=apogee" in said.out
    again = command("plugin new my-survey --path plugins")
    assert (again.status, again.err.partition(":")[0]) == (1, "Error [plugin-exists]")
    assert command("plugin new My-Survey").err.startswith("Error [name-refused]: 'My-Survey' cannot name a plugin")

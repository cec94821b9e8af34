import pytest
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import PluginNotFoundError, SettingsError, StorageError
from hven.plugins import plugins, switched
from hven.plugins.switches import Voice, keep_disabled, keep_enabled, switched_off_by
from hven.plugins.user_settings import read_settings, settings_path, write_settings


def disabled():
    return {info.name: info.reason for info in plugins().disabled}


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "some" / "config.yaml"
    monkeypatch.setenv("HVEN_CONFIG", str(path))
    return path


def test_the_environment_disables_plugins(monkeypatch):
    monkeypatch.setenv("HVEN_DISABLE_PLUGINS", " files, no_such_plugin ")
    assert disabled() == {"files": "disabled by HVEN_DISABLE_PLUGINS"}
    monkeypatch.delenv("HVEN_DISABLE_PLUGINS")
    assert disabled() == {}


def test_the_settings_disable_plugins(config):
    config.parent.mkdir()
    config.write_text("plugins: {disabled: [files]}")
    assert disabled() == {"files": f"disabled by {config}"}


def test_a_block_of_code_disables_plugins_and_then_they_are_back():
    with switched(disable=["files"]):
        assert disabled() == {"files": "disabled by hven.plugins.switched"}
        with switched(enable=["files"]):
            assert disabled() == {}
    assert disabled() == {}


def test_a_flag_is_stronger_than_the_environment_and_that_than_the_settings(config, monkeypatch):
    write_settings(disabled_plugins=("files", "gaia_xp"))
    assert set(disabled()) == {"files", "gaia_xp"}
    monkeypatch.setenv("HVEN_ENABLE_PLUGINS", "files")
    monkeypatch.setenv("HVEN_DISABLE_PLUGINS", "monitor")
    assert set(disabled()) == {"gaia_xp", "monitor"}
    with switched(disable=["files"], enable=["monitor"], source="--disable-plugin"):
        assert disabled() == {"files": "disabled by --disable-plugin", "gaia_xp": f"disabled by {config}"}


def test_all_plugins_but_one_can_be_disabled():
    with switched(disable=["all"], enable=["gradients"]):
        assert [info.name for info in plugins().loaded] == ["gradients"]


names = st.lists(st.sampled_from(["a", "b", "dist", "all"]), max_size=3).map(tuple)


@given(st.lists(st.builds(Voice, st.sampled_from(["one", "two", "three"]), names, names), max_size=4))
def test_the_first_voice_that_says_anything_decides(voices):
    for plugin, distribution in (("a", "dist"), ("b", "dist")):
        expected = ""
        for voice in reversed(voices):
            meant = {plugin, distribution}
            if meant & set(voice.disabled):
                expected = voice.source
            elif meant & set(voice.enabled):
                expected = ""
            elif "all" in voice.disabled:
                expected = voice.source
            elif "all" in voice.enabled:
                expected = ""
        assert switched_off_by(voices, plugin, distribution) == expected


def test_switching_a_plugin_that_is_not_installed_is_refused_with_the_nearest(config):
    with pytest.raises(PluginNotFoundError, match="Did you mean 'files'"), switched(disable=["fils"]):
        pass
    for change in (keep_disabled, keep_enabled):
        with pytest.raises(PluginNotFoundError, match="no plugin 'fils'"):
            change("fils")
    assert not config.exists()


def test_a_plugin_that_is_gone_can_be_taken_off_the_list(config):
    write_settings(disabled_plugins=("uninstalled_long_ago", "files"))
    keep_enabled("uninstalled_long_ago")
    assert read_settings().disabled_plugins == ("files",)


def test_what_is_kept_twice_is_kept_once_and_lines_around_it_stay(config):
    config.parent.mkdir()
    config.write_text("# mine\nplugins:\n  # why\n  disabled:\n  - hven\n\n# the end")
    keep_disabled("files")
    keep_disabled("files")
    assert read_settings().disabled_plugins == ("hven", "files")
    keep_enabled("hven")
    keep_enabled("files")
    keep_enabled("files")
    text = config.read_text()
    assert text.startswith("# mine\n")
    assert text.endswith("# the end\n")
    assert "plugins" not in text
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("before", ["", "plugins:\n", "plugins: {disabled: []}\n", "# only a comment\n", "---\n"])
def test_any_file_without_plugins_can_be_added_to(config, before):
    config.parent.mkdir()
    config.write_text(before)
    keep_disabled("files")
    assert read_settings().disabled_plugins == ("files",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plugins: [", "not YAML"),
        ("[1, 2]", "the file is [1, 2]"),
        ("plugin: {}", "no setting 'plugin'.*Did you mean 'plugins'"),
        ("plugins: {disable: [files]}", "no setting 'plugins.disable'.*Did you mean 'disabled'"),
        ("plugins: {disabled: files}", "plugins.disabled is 'files'"),
        ("plugins: 7", "plugins is 7"),
        ("plugins: {disabled: [7]}", r"plugins.disabled is \[7\]"),
    ],
)
def test_settings_that_cannot_be_understood_are_refused_with_the_file(config, text, told):
    config.parent.mkdir()
    config.write_text(text)
    for ask in (read_settings, plugins, lambda: keep_disabled("files")):
        with pytest.raises(SettingsError, match=told.replace("[1, 2]", r"\[1, 2\]")) as refused:
            ask()
        assert refused.value.where == str(config)
    assert config.read_text() == text


def test_settings_written_on_one_line_are_left_to_people(config):
    config.parent.mkdir()
    config.write_text("{plugins: {disabled: [hven]}}")
    with pytest.raises(SettingsError, match="cannot be edited here"):
        keep_disabled("files")
    assert config.read_text() == "{plugins: {disabled: [hven]}}"


def test_settings_that_cannot_be_written_are_told(config):
    config.parent.parent.joinpath("some").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="settings cannot be written"):
        keep_disabled("files")


def test_settings_are_where_the_system_keeps_them_and_changes_are_seen_at_once(tmp_path, monkeypatch):
    monkeypatch.delenv("HVEN_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_path() == tmp_path / "hven" / "config.yaml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert settings_path() == tmp_path / "me" / ".config" / "hven" / "config.yaml"
    assert read_settings().disabled_plugins == ()
    keep_disabled("files")
    assert set(disabled()) == {"files"}
    keep_enabled("files")
    assert disabled() == {}

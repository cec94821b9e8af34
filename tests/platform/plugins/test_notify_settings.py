"""The settings of who is told of firings that did not go well."""

import pytest
import yaml

from hven.errors import SettingsError
from hven.plugins import read_settings
from hven.plugins.user_settings import write_settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Return what writes the settings of this user."""
    path = tmp_path / "config.yaml"
    monkeypatch.setenv("HVEN_CONFIG", str(path))

    def write(**notify):
        path.write_text(yaml.safe_dump({"notify": notify}))
        return path

    return write


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": "ftp://a"},
        {"webhook": 7},
        {"mail_to": "nobody"},
        {"mail_to": [1]},
        {"smtp": "host:mail"},
        {"starttls": "maybe"},
        {"mails": "a@example.org"},
    ],
)
def test_settings_that_cannot_be_followed_are_refused_by_name(settings, wrong):
    path = settings(**wrong)
    with pytest.raises(SettingsError, match=next(iter(wrong))) as refused:
        read_settings()
    assert refused.value.where == str(path)


def test_disabling_a_plugin_leaves_who_is_notified_as_it_was(settings):
    path = settings(mail_to=["a@example.org"])
    write_settings(disabled_plugins=("gaia_xp",))
    assert yaml.safe_load(path.read_text())["notify"] == {"mail_to": ["a@example.org"]}
    assert read_settings().notify.mail_to == ("a@example.org",)

import subprocess
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hven.errors import NameRefusedError, PluginExistsError, StorageError
from hven.plugins.scaffold import analyses_of, check_plugin_name, write_plugin
from hven.plugins.scaffold.writing import _FILES, _LONGEST


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_everything_that_is_promised_is_written_and_nothing_is_left_of_the_template(tmp_path):
    folder = write_plugin("my-survey", tmp_path / "a new place")
    assert folder == tmp_path / "a new place" / "my-survey"
    assert files_of(folder) == {target.format(package="my_survey") for target in _FILES}
    for path in folder.rglob("*.*"):
        if path.is_file():
            text = path.read_text()
            assert "{%" not in text
            assert ("{{" in text) == (path.name == "test.yml"), "the workflow has braces of its own"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "my-survey"
    assert project["entry-points"]["hven.plugins"] == {"my_survey": "my_survey"}
    for name in analyses_of("my-survey"):
        assert name in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["ab", "my-survey", "x" * _LONGEST])
def test_what_is_written_is_clean_for_ruff_however_long_the_name(tmp_path, name):
    pytest.importorskip("ruff")
    folder = write_plugin(name, tmp_path)
    for verb in (["check"], ["format", "--check"]):
        said = subprocess.run(
            [sys.executable, "-m", "ruff", *verb, "--no-cache", "."],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert said.returncode == 0, said.stdout


@pytest.mark.parametrize(
    "name",
    [
        "",
        "My-Survey",
        "2mass",
        "my survey",
        "../out",
        "my--survey",
        "my_survey_",
        "class",
        "x" * (_LONGEST + 1),
        "naïve",
    ],
)
def test_a_name_that_cannot_be_that_of_a_package_is_refused(tmp_path, name):
    with pytest.raises(NameRefusedError, match="cannot name a plugin"):
        write_plugin(name, tmp_path)
    assert files_of(tmp_path) == set()


@pytest.mark.parametrize("name", ["json", "numpy", "hven", "hven-plugins", "gradients", "files"])
def test_a_name_that_is_taken_is_refused(tmp_path, name):
    with pytest.raises(NameRefusedError, match="already"):
        write_plugin(name, tmp_path)
    assert files_of(tmp_path) == set()


@given(st.text(st.sampled_from("ab1_-./ A"), max_size=8))
def test_a_name_is_refused_or_safe(name):
    try:
        check_plugin_name(name)
    except NameRefusedError:
        return
    assert all(called.isidentifier() for called in analyses_of(name))
    assert not {"/", ".", " "} & set(name)


def test_what_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "empty-one").mkdir()
    assert files_of(write_plugin("empty-one", tmp_path))
    with pytest.raises(PluginExistsError, match="there is something already"):
        write_plugin("empty-one", tmp_path)
    (tmp_path / "a-file").write_text("mine")
    with pytest.raises(PluginExistsError):
        write_plugin("a-file", tmp_path)
    assert (tmp_path / "a-file").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "in-the-way").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"):
        write_plugin("my-survey", tmp_path / "in-the-way")

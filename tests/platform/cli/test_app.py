import subprocess
import sys

import pytest

import hven
from hven.cli import main


def test_an_error_is_one_paragraph_with_its_code_and_status_1(command, small_lake):
    said = command(f"show strs --lake '{small_lake.url}'")
    assert said.status == 1
    assert said.out == ""
    assert said.err.startswith("Error [dataset-not-found]: there is no dataset 'strs'")
    assert "Did you mean 'stars'" in said.err
    assert said.err.count("\n") == 1


def test_traceback_shows_where_the_error_arose_wherever_it_stands(small_lake):
    for arguments in (["--traceback", "show", "strs"], ["show", "strs", "--traceback"]):
        with pytest.raises(hven.errors.DatasetNotFoundError):
            main([*arguments, "--lake", small_lake.url])


def test_version_is_printed(command):
    assert command("--version").out.strip() == f"hven {hven.__version__}"


def test_python_runs_the_command_as_a_module_too():
    told = subprocess.check_output([sys.executable, "-m", "hven", "show", "-h"], text=True, timeout=120)
    assert "Usage: python -m hven show" in told


def test_a_wrong_option_ends_with_status_2(command):
    assert command("ls --no-such-option").status == 2


def test_without_arguments_the_help_is_shown(command):
    assert "Usage" in command("").out


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            PermissionError(13, "Permission denied", "/data/stars.csv"),
            "storage-failed",
            "Permission denied (/data/stars.csv)",
        ),
        (OSError("disc on fire"), "storage-failed", "disc on fire"),
        (ZeroDivisionError("division by zero"), "hven-error", "ZeroDivisionError: division by zero"),
        (KeyError(), "hven-error", "KeyError"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_error_that_nobody_foresaw_is_one_line_with_a_code(command, monkeypatch, error, code, told):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("hven.cli.lakes.open_lake", fail)
    said = command("ls")
    assert said.status == 1
    assert said.err.startswith(f"Error [{code}]: ")
    assert told in said.err
    assert "Traceback" not in said.err
    with pytest.raises(type(error)):
        command("ls --traceback")

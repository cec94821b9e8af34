"""What is installed: every file of the packages is in the wheel, templates and style sheets too."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_packages_is_in_the_wheel(tmp_path):
    pytest.importorskip("hatchling")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder, package in (("platform", "hven"), ("plugins", "hven_plugins")):
        files = [path for path in (ROOT / folder / package).rglob("*") if path.is_file()]
        shipped = {str(path.relative_to(ROOT / folder)) for path in files if path.suffix not in {".pyc", ".pyo"}}
        assert shipped - inside == set()
    assert "hven/plugins/scaffold/templates/pyproject.toml.jinja" in inside

"""Plugins made up on the spot, installed as pip would: a module beside a dist-info folder with its entry points."""

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from hven.plugins import PluginRegistry
from hven.plugins.switches import Voice


class Installed:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, source: str, *, distribution: str = "", version: str = "1.0", module: str = "") -> None:
        distribution, module = distribution or f"hven-{name}", module or f"made_up_{name}"
        (self.folder / f"{module}.py").write_text(source)
        about = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        entry_points = about / "entry_points.txt"
        text = entry_points.read_text() if entry_points.exists() else "[hven.plugins]\n"
        entry_points.write_text(f"{text}{name} = {module}\n")

    def registry(self, *disabled: str, clock: Callable[[], float] = lambda: 0.0) -> PluginRegistry:
        found = metadata.distributions(path=[str(self.folder)])
        points = [point for one in found for point in one.entry_points if point.group == "hven.plugins"]
        return PluginRegistry(points, [Voice("the test", disabled)], clock)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield Installed(folder)
    for name in [n for n in sys.modules if n.startswith("made_up_")]:
        del sys.modules[name]


@pytest.fixture
def good() -> Callable[[str], str]:
    """The source of a plugin that brings one analysis of this name."""
    return lambda name: (
        f'''
import hven
import xarray as xr

@hven.analysis(stars=hven.Table(feh="dex"), produces=dict(mean="dex"))
def {name}(stars: xr.Dataset) -> xr.Dataset:
    """Mean [Fe/H]."""
    return xr.Dataset(dict(mean=stars.feh.mean()))

@hven.hookimpl
def hven_analyses():
    return [{name}]
'''
    )

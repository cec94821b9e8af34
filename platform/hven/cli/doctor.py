"""The verb that looks at the installation: doctor."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import typer

from hven.cli.address import LakeOption, open_lake
from hven.cli.output import AsJson, print_fields, print_json, print_table, print_text
from hven.errors import HvenError

verbs = typer.Typer(rich_markup_mode="markdown")

EXTRAS = {
    "science": "the built-in analyses and methods (JAX and what builds on it)",
    "demo": "`hven demo`: 40,226 real spectra",
    "gpu": "runs on NVIDIA GPUs",
    "hats": "catalogs in the HATS format through LSDB",
    "hdf5": "images in HDF5 files through h5py",
    "dev": "the tests and checks of hven itself",
    "bench": "the peers that `make bench` measures against",
    "docs": "the documentation of hven itself",
}
_REQUIREMENT = re.compile(
    r"""(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?(?P<wanted>[^;]*)(;.*?extra\s*==\s*['"](?P<extra>\w+)['"])?.*"""
)


@dataclass(frozen=True)
class Dependency:
    """A package that hven needs, for itself or for an extra, and the version that is here (None when it is missing)."""

    name: str
    wanted: str
    extra: str | None
    version: str | None


@verbs.command(rich_help_panel="Lakes")
def doctor(lake: LakeOption = None, as_json: AsJson = False) -> None:
    """Look at the installation: versions, what is missing and what it would bring, and whether a lake opens.

    Example: `hven doctor --lake demo-lake`
    """
    report = examine(lake)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report["missing"] or report["lake"].get("code") not in (None, "lake-not-found" if not lake else None):
        raise typer.Exit(1)


def examine(lake: str | None) -> dict[str, Any]:
    """Return what `hven doctor` tells, as plain values."""
    import os
    import platform
    import sys

    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    import hven

    found = list(dependencies())
    extras = {}
    for extra, brings in EXTRAS.items():
        missing = [d.name for d in found if d.extra == extra and d.version is None]
        extras[extra] = {"brings": brings, "missing": missing}
    return {
        "hven": hven.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "cores": CPU_COUNT,
        "memory": MEMORY_LIMIT,
        "versions": {d.name: d.version for d in found if d.extra is None},
        "missing": [f"{d.name}{d.wanted}" for d in found if d.extra is None and d.version is None],
        "extras": extras,
        "settings": {key: value for key, value in sorted(os.environ.items()) if key.startswith("HVEN_")},
        "lake": _examine_lake(lake),
    }


def dependencies() -> Iterator[Dependency]:
    """Give the packages that hven's own metadata names, with the versions that are installed."""
    for text in metadata.requires("hven") or []:
        match = _REQUIREMENT.fullmatch(text)
        if match is None or match["name"] == "hven":
            continue
        try:
            version: str | None = metadata.version(match["name"])
        except metadata.PackageNotFoundError:
            version = None
        yield Dependency(match["name"], match["wanted"].strip(), match["extra"], version)


def _examine_lake(address: str | None) -> dict[str, Any]:
    try:
        lake = open_lake(address)
        return {"url": lake.url, "catalog": lake.number, "datasets": len(lake), "releases": lake.releases()}
    except HvenError as error:
        return error.to_json()


def _print_report(report: dict[str, Any]) -> None:
    from hven.catalog.listing import size_text

    print_fields(
        [
            ("hven", report["hven"]),
            ("python", f"{report['python']} ({report['executable']})"),
            ("system", report["system"]),
            ("cores", report["cores"]),
            ("memory", size_text(report["memory"])),
            ("settings", ", ".join(f"{key}={value}" for key, value in report["settings"].items())),
        ]
    )
    print_table(["package", "version"], ([name, version or "MISSING"] for name, version in report["versions"].items()))
    print_table(
        ["extra", "brings", "state"],
        (
            [name, extra["brings"].replace("`", ""), _extra_state(name, extra["missing"])]
            for name, extra in report["extras"].items()
        ),
    )
    lake = report["lake"]
    if "code" in lake:
        print_text(f"Lake: {lake['what']} ({lake['where']}). {lake['hint']}")
    else:
        print_text(f"Lake: {lake['url']} opens, at catalog {lake['catalog']} with {lake['datasets']} datasets.")
    if report["missing"]:
        print_text(f"Missing: {', '.join(report['missing'])}. Install them: pip install --upgrade hven")


def _extra_state(name: str, missing: list[str]) -> str:
    return f"missing {', '.join(missing)}: pip install 'hven[{name}]'" if missing else "installed"

"""How a benchmark is declared, measured and told.

A module ``bench_*.py`` in this folder declares functions with `benchmark`. Each gets an empty folder and returns a
figure, measured against a peer in the same process with `best_of_each`. `run_all` measures them one after the other.
"""

import gc
import importlib
import json
import os
import pkgutil
import platform
import tempfile
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Literal

Better = Literal["higher", "lower"]


class PeerNotAtHandError(Exception):
    """What is measured against is not installed here: the row says so, and the run is none the worse for it."""


@dataclass(frozen=True)
class Benchmark:
    """One thing that is measured.

    Attributes
    ----------
    measure
        Takes an empty folder, returns the figure.
    name
        Of the function.
    target, unit, better
        What is to be reached: at least (``higher``) or at most (``lower``).
    against
        What it is measured against, in words.
    """

    measure: Callable[[Path], float]
    name: str
    target: float
    unit: str
    better: Better
    against: str

    def is_met(self, figure: float) -> bool:
        """Whether the figure reaches the target."""
        return figure >= self.target if self.better == "higher" else figure <= self.target


@dataclass(frozen=True)
class Row:
    """One line of the table; `figure` is None when the measurement failed, and `error` then says why."""

    name: str
    figure: float | None
    target: float
    unit: str
    better: Better
    against: str
    met: bool
    seconds: float
    error: str = ""


def benchmark(*, target: float, against: str, unit: str = "x", better: Better = "higher") -> Callable[..., Benchmark]:
    """Return a decorator that declares a function ``f(folder) -> figure`` as a benchmark."""

    def declare(measure: Callable[[Path], float]) -> Benchmark:
        return Benchmark(measure, measure.__name__, target, unit, better, against)

    return declare


def best_of_each(
    *works: Callable[[], object], rounds: int = 5, between: Callable[[], object] | None = None
) -> list[float]:
    """Return the shortest time of each work in seconds; they take turns, so that a busy machine is busy for all.

    `between` is called before each, off the clock: what writes much removes there what the one before it wrote, or
    the later works would wait for the disk to take in what the earlier ones left.
    """
    times = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, times, strict=True):
            if between is not None:
                between()
            gc.collect()
            began = perf_counter()
            work()
            taken.append(perf_counter() - began)
    return [min(taken) for taken in times]


def find_benchmarks(package: ModuleType, wanted: str = "") -> list[Benchmark]:
    """Return the benchmarks of the ``bench_*`` modules of a package whose module or name contains `wanted`."""
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("bench_"):
            members = vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
            found += [b for b in members if isinstance(b, Benchmark) and (wanted in module.name or wanted in b.name)]
    return found


def run_all(benchmarks: Iterable[Benchmark], tell: Callable[[str], None] = print) -> list[Row]:
    """Measure one after the other; one that raises becomes a row that says so, and the others go on."""
    rows = []
    for one in benchmarks:
        tell(f"measuring {one.name} ...")
        began, figure, error = perf_counter(), None, ""
        try:
            with tempfile.TemporaryDirectory(prefix="hven-bench-", ignore_cleanup_errors=True) as folder:
                figure = float(one.measure(Path(folder)))
        except PeerNotAtHandError as missing:
            error = f"peer not at hand: {missing}"
        except Exception as raised:  # noqa: BLE001 - a failing benchmark must not hide the others
            error = f"{type(raised).__name__}: {raised}"
            tell(traceback.format_exc())
        met = figure is not None and one.is_met(figure)
        seconds = perf_counter() - began
        rows.append(Row(one.name, figure, one.target, one.unit, one.better, one.against, met, seconds, error))
    return rows


def table(rows: Iterable[Row]) -> str:
    """Return the rows as one table in plain text."""
    lines = [("benchmark", "measured", "target", "against", "met")]
    for row in rows:
        sign = ">=" if row.better == "higher" else "<="
        measured = row.error if row.figure is None else f"{row.figure:.3g} {row.unit}"
        lines.append((row.name, measured, f"{sign} {row.target:g} {row.unit}", row.against, "yes" if row.met else "NO"))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def write_json(rows: Iterable[Row], path: Path) -> None:
    """Write the rows and the machine they were measured on."""
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")

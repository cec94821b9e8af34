"""What a survey costs whoever plans it and hands it out: memory, when nothing is read and nothing computed."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import hven
import unreal
from benchmarks.harness import benchmark
from hven.compute import blocks
from hven.compute.memory import peak_memory
from hven.lake import BLOCK_ROWS

OBJECTS = 1_000_000_000


@benchmark(target=1000, unit="MB", better="lower", against="1e9 objects planned, handed out, noted and published")
def memory_of_a_survey(folder: Path) -> float:
    """Most memory of the process that plans and runs a survey, its scheduler included; tasks do nothing."""
    command = [sys.executable, "-m", "benchmarks.bench_bounded", str(folder)]
    told = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True).stdout
    return float(told.split()[-1]) / 1e6


def main(folder: Path) -> None:
    """Plan and run the survey, and tell the most memory that this took."""
    count = -(-OBJECTS // BLOCK_ROWS // unreal.BLOCKS_A_FILE) * unreal.BLOCKS_A_FILE
    lake = hven.create(folder / "lake")
    unreal.write_unreal(lake, "stars", count)
    plan = hven.plan(lake, unreal.unreal, {"stars": "stars"})
    assert plan.tasks == count, plan
    with patch.object(blocks, "compute_patiently", unreal.done_at_once):
        run = hven.run(lake, unreal.unreal, {"stars": "stars"}, workers=2, progress=False)
    assert (run.state, run.rows["out"]) == ("succeeded", count * BLOCK_ROWS), run
    sys.stdout.write(f"{peak_memory()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Runs in processes of their own, and such as kill themselves (kill -9) at a moment that a seed chooses."""

import multiprocessing
import os
import random
import signal
import threading
import time
from importlib import import_module

import hven
import trial_analyses
import trial_failures
from hven.compute import run
from hven.lake import StagedArrays, StagedTable
from hven.lake.store import Store
from hven.plugins import plugins

MOMENTS = (
    *((Store, name) for name in ("create", "put", "delete", "list")),
    (StagedTable, "write"),
    *((StagedArrays, name) for name in ("begin", "write", "commit", "keep_only")),
)
"""What is counted: a run may die before and after each call of these."""
USUAL, SECONDS = 90, 0.8
"""Moments, and about as many seconds, that a run of 12 blocks has."""

# Forked processes find everything loaded: one that dies has cost next to nothing.
for _name in ("deltalake", "distributed", "hven.ingest", "icechunk", "jinja2", "matplotlib.figure", "pyarrow.parquet"):
    import_module(_name)
_PREPARED = plugins().loaded


def processes():
    """Return what starts processes that have all this loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dying"])
    return context


def run_and_die(url, analysis, given, block_rows, seed):
    """Run an analysis in this process, which dies at a moment that the seed chooses, or lives when that comes too late.

    Even seeds choose a step of the run, and whether it dies before or after it; odd ones a time, in the middle of
    whatever is done then.
    """
    rng = random.Random(seed)
    if seed is not None and seed % 2 == 0:
        _die_at_moment(rng.randrange(2 * USUAL))
    elif seed is not None:
        _die_in(rng.uniform(0.0, SECONDS))
    how = {"checkpoint_seconds": 0.02, "checkpoint_blocks": rng.randint(1, 3)}
    asked = getattr(trial_analyses, analysis), {given: given}
    done = run(hven.open(url), *asked, cluster="synchronous", block_rows=block_rows, progress=False, **how)
    # Not by way of the interpreter's end: the clock of a seed may strike there.
    os._exit(0 if done.state == "succeeded" else 1)


def run_held(url, analysis, folder, told):
    """Run an analysis of `trial_failures`, block by block, and leave in a file what a process says that ends badly."""
    with open(told, "w") as file:  # noqa: PTH123 - a descriptor is needed
        os.dup2(file.fileno(), 2)
    known = getattr(trial_failures, analysis)
    rows = 300 if known.per_object else None
    how = {"checkpoint_seconds": 0.1, "checkpoint_blocks": 2, "progress": False}
    run(hven.open(url), known, {"stars": "stars"}, {"folder": folder}, cluster="synchronous", block_rows=rows, **how)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_moment(chosen):
    passed = [0]

    def counted(function):
        def call(*arguments, **how):
            for step in (None, function):
                told = step(*arguments, **how) if step else None
                if passed[0] == chosen:
                    _die()
                passed[0] += 1
            return told

        return call

    for kind, name in MOMENTS:
        setattr(kind, name, counted(getattr(kind, name)))


def _die_in(seconds):
    def wait_and_die():
        time.sleep(seconds)
        _die()

    threading.Thread(target=wait_and_die, daemon=True).start()

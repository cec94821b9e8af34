"""An analysis of everything at once that takes its steps one by one, keeps where it is, and may be killed."""

import multiprocessing
import os
import signal

import numpy as np
import xarray as xr

import hven
from hven.compute import run
from hven.methods import progress
from hven.plugins import plugins


@hven.analysis(stars=hven.Table(feh="dex"), produces={"walk": "", "began": ""})
def random_walk(stars, *, steps: int = 40):
    """Walk at random, a step for each number that a state gives; begin where an attempt that was killed has been.

    Parameters
    ----------
    steps
        How many.
    """
    kept = progress.kept("walk.bin")
    walk = [] if kept is None else np.frombuffer(kept).tolist()
    began = len(walk)
    for step in range(began, steps):
        walk.append(np.random.default_rng(step).normal())
        if step % 5 == 4:
            progress.keep("walk.bin", np.array(walk).tobytes())
        progress.tell(step + 1, steps, f"at {walk[-1]:.2f}")
    return xr.Dataset({"walk": ("step", walk), "began": ("step", np.full(steps, began))})


class Killer:
    """Kill this process (kill -9) when an analysis says that it is so far."""

    def __init__(self, at):
        self.at = at

    @hven.hookimpl
    def hven_run_told(self, done):
        if done >= self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(url, analysis, inputs, parameters, at):
    """Run an analysis in this process until it says that it is so far, and die."""
    plugins().register(Killer(at), "killer")
    run(hven.open(url), analysis, inputs, parameters, cluster="synchronous", progress=False)


def killed(*what):
    """Return the exit code of a process of its own that does `run_and_die`."""
    process = multiprocessing.get_context("spawn").Process(target=run_and_die, args=what)
    process.start()
    process.join()
    return process.exitcode

"""Peers that need an environment of their own: ``make peers`` makes it, or HVEN_PEERS_PYTHON names its Python."""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from benchmarks.harness import PeerNotAtHandError

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-peers"
CHECKOUT = ENVIRONMENT / "scattering_transform"


class Peer:
    """A process that does its work whenever it is called, and has its data and all imports by then.

    Parameters
    ----------
    script
        A file beside this one.
    arguments
        Of the script.
    needs
        Modules that the other Python must have.

    Raises
    ------
    PeerNotAtHandError
        The environment is not there, or has not all modules.
    """

    def __init__(self, script: str, *arguments: str, needs: tuple[str, ...] = ()) -> None:
        python = os.environ.get("HVEN_PEERS_PYTHON", str(ENVIRONMENT / "bin/python"))
        for module in needs:
            self._check(python, module)
        told = {"HVEN_SCATTERING_PEER": str(CHECKOUT), **os.environ}
        told.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name(script)), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=told,
        )  # fmt: skip
        self._wait("ready")

    def __call__(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self._wait("done")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.communicate(timeout=60)

    def _wait(self, word: str) -> None:
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"the peer said {said!r} instead of {word!r} and ended with {self.process.wait()}")

    @staticmethod
    def _check(python: str, module: str) -> None:
        try:
            tried = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        except OSError as error:
            raise PeerNotAtHandError("make peers makes the environment it needs") from error
        if tried.returncode:
            raise PeerNotAtHandError(f"{python} cannot import {module}: {tried.stderr.strip().splitlines()[-1]}")


def scattering_peer(name: str, images: np.ndarray, scales: int, angles: int, folder: Path) -> tuple[Peer, Path]:
    """Return a peer that transforms `images`, and where its first-order coefficients are once it has ended."""
    if name == "cheng" and not (Path(os.environ.get("HVEN_SCATTERING_PEER", CHECKOUT)) / "scattering").is_dir():
        raise PeerNotAtHandError("HVEN_SCATTERING_PEER names no checkout of SihaoCheng/scattering_transform")
    given, out = folder / f"{name}.npy", folder / f"{name}_coefficients.npy"
    np.save(given, images)
    needs = ("torch", "kymatio.torch") if name == "kymatio" else ("torch",)
    return Peer("scattering_peers.py", name, str(given), str(scales), str(angles), str(out), needs=needs), out

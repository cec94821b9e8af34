"""Where a training was: all its arrays and the settings they belong to."""

import hashlib
import inspect
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hven.errors import ParameterError
from hven.methods.models import leaves, with_leaves

T = TypeVar("T")

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_ROWS = 4096
"""Rows that are looked at together, so that data in another order in memory are not copied whole."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after some step, to go on from with ``fit(..., resume=checkpoint)``.

    Attributes
    ----------
    arrays
        Weights, optimiser, average and best weights by path, and what the history is made of.
    settings
        The arguments of the call, which must be the same when it goes on.
    step
        Steps that have been done.
    """

    arrays: dict[str, NDArray[Any]]
    settings: dict[str, Any]
    step: int

    @classmethod
    def of(cls, state: Any, step: int, record: NDArray[np.float64], settings: dict[str, Any]) -> "Checkpoint":
        """Return the checkpoint of a loop's `state` after `step` steps."""
        arrays = {f"state.{path}": values for path, values in leaves(state).items()}
        return cls(arrays | {"record": record}, settings, step)

    def restore(self, template: T, settings: dict[str, Any]) -> tuple[T, int, NDArray[np.float64]]:
        """Return state, step and record; raises ParameterError when `settings` are not those of the checkpoint."""
        odd = [name for name, value in settings.items() if self.settings.get(name) != value]
        if odd:
            raise ParameterError(
                f"the checkpoint was made with {odd[0]}={self.settings.get(odd[0])!r}, not {settings[odd[0]]!r}",
                where="train.fit", hint="Resume with the same arguments and data, or start anew.",
            )  # fmt: skip
        state = {p.removeprefix("state."): v for p, v in self.arrays.items() if p.startswith("state.")}
        return with_leaves(template, state), self.step, self.arrays["record"]

    def write(self, path: Path | str) -> None:
        """Write the checkpoint to a file, whole or not at all."""
        path = Path(path)
        part = path.with_name(path.name + ".part")
        part.write_bytes(self.to_bytes())
        part.replace(path)

    @classmethod
    def read(cls, path: Path | str) -> "Checkpoint":
        """Return the checkpoint in a file that `write` made."""
        return cls.from_bytes(Path(path).read_bytes())

    def to_bytes(self) -> bytes:
        """Return the checkpoint as the content of a file, for `hven.methods.progress.keep`."""
        text = json.dumps({"settings": self.settings, "step": self.step})
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **self.arrays, spec=np.frombuffer(text.encode(), dtype=np.uint8))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Checkpoint":
        """Return the checkpoint that `to_bytes` made `content` of."""
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        spec = json.loads(arrays.pop("spec").tobytes())
        return cls(arrays, spec["settings"], spec["step"])


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return what tells the data of a training, rows first, from others.

    Examples
    --------
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> digest_of({"x": x}) == digest_of({"x": np.asfortranarray(x)}), digest_of({"x": x}) == digest_of({"x": x + 1})
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=16)  # images are gigabytes, and this takes half the time of a SHA-256
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode())
        for start in range(0, len(values), _ROWS):
            digest.update(values[start : start + _ROWS].tobytes())
    return digest.hexdigest()


def told_of(thing: Any) -> str:
    """Return what tells a loss or network from others, in this process and the next: its repr without addresses.

    A function is told by its name and a digest of its code and the values that it was made with.

    Examples
    --------
    >>> from hven.methods.train import squared_error
    >>> told_of(squared_error).split()[0]
    'hven.methods.train.squared_error'
    >>> def times(factor):
    ...     return lambda loss: factor * loss
    >>> told_of(times(2)) == told_of(times(2)), told_of(times(2)) == told_of(times(3))
    (True, False)
    """
    if not inspect.isfunction(thing):
        return _ADDRESS.sub("", repr(thing))
    code, held = thing.__code__, [cell.cell_contents for cell in thing.__closure__ or ()]
    made_of = repr((code.co_code, code.co_consts, code.co_names, thing.__defaults__, held))
    digest = hashlib.blake2b(_ADDRESS.sub("", made_of).encode(), digest_size=4).hexdigest()
    return f"{thing.__module__}.{thing.__qualname__} {digest}"

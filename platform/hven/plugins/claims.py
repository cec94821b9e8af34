"""Claims: what a reader says of a file before it reads it, from what the file holds rather than from its name."""

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hven.errors import UnreadableFileError

if TYPE_CHECKING:
    from hven.plugins.reader import Reader

HEAD_BYTES = 2**16
"""How much of the beginning of a file is read to see what it is."""

Strength = Literal["name", "format", "layout", "survey"]

STRENGTHS: Mapping[str, int] = {"name": 1, "format": 2, "layout": 3, "survey": 4}
"""How specific a claim is: by the name alone, the format of the content, its layout, the survey that made it."""


@dataclass(frozen=True)
class FileHead:
    """The beginning of a file, as claims see it. A folder has no bytes.

    Attributes
    ----------
    path
        The file or folder.
    """

    path: str

    @property
    def name(self) -> str:
        """The name without folders."""
        return Path(self.path).name

    @cached_property
    def is_folder(self) -> bool:
        """Whether it is a folder: a Delta table, a HATS collection, a partitioned table."""
        return Path(self.path).is_dir()

    @cached_property
    def size(self) -> int:
        """The bytes of the file as it lies there, 0 for a folder."""
        return 0 if self.is_folder else os.stat(self.path).st_size  # noqa: PTH116 - one call for files and links

    @cached_property
    def raw(self) -> bytes:
        """The first bytes as they lie there.

        Raises
        ------
        UnreadableFileError
            If the file cannot be opened.
        """
        if self.is_folder:
            return b""
        try:
            with Path(self.path).open("rb") as file:
                return file.read(HEAD_BYTES)
        except OSError as error:
            raise UnreadableFileError(
                f"the file cannot be opened: {error.strerror}", where=self.path, hint="Correct the path or its rights."
            ) from error

    @cached_property
    def start(self) -> bytes:
        """The first bytes of the content: decompressed when the file is compressed by gzip."""
        if self.raw[:2] != b"\x1f\x8b":
            return self.raw
        try:
            with gzip.open(self.path, "rb") as file:
                return bytes(file.read(HEAD_BYTES))
        except (OSError, EOFError):
            return self.raw


@dataclass(frozen=True)
class Claim:
    """What a reader says of a file.

    Attributes
    ----------
    what
        What the file is, with its article: "a FITS table of 3 columns", "an SDSS spectrum".
    strength
        How specific that is: ``"survey"`` beats ``"layout"`` beats ``"format"`` beats ``"name"``.
    why
        What in the file says so: "TTYPE1 = 'loglam' in the extension COADD".
    refusal
        Why the file is refused although it is known: no reader of hven keeps its content right. Empty when it is read.
    hint
        The next step, for a refusal.

    Examples
    --------
    >>> Claim("a FITS table", "format", "SIMPLE = T, an extension BINTABLE").level
    2
    """

    what: str
    strength: Strength
    why: str
    refusal: str = ""
    hint: str = ""

    @property
    def level(self) -> int:
        """The strength as a number."""
        return STRENGTHS[self.strength]


@dataclass(frozen=True)
class Explanation:
    """Who claims a file, and who wins.

    Attributes
    ----------
    path
        The file.
    claims
        Reader name and claim, the strongest first.
    chosen
        The reader that reads it; None when nobody can.
    """

    path: str
    claims: "tuple[tuple[str, Claim], ...]" = ()
    chosen: "Reader | None" = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as plain JSON values."""
        return {
            "path": self.path,
            "reader": self.chosen.name if self.chosen is not None else None,
            "claims": [
                {
                    "reader": name,
                    "what": claim.what,
                    "strength": claim.strength,
                    "why": claim.why,
                    "refusal": claim.refusal,
                }
                for name, claim in self.claims
            ],
        }

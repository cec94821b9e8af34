"""Notes: what was done to data on their way in, in words."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Note:
    """One sentence on what was renamed, converted, assumed or left out.

    Attributes
    ----------
    text
        The sentence.
    needs_attention
        Whether a person should look at it: something was assumed, looks wrong, or is not kept.
    column
        The column that it is about, by its name in the dataset; empty for the file or the dataset.

    Examples
    --------
    >>> str(Note("column 'TEFF' is kept as 'teff'", column="teff"))
    "column 'TEFF' is kept as 'teff'"
    """

    text: str
    needs_attention: bool = False
    column: str = ""

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return the note as plain JSON values."""
        return {"text": self.text, "needs_attention": self.needs_attention, "column": self.column}

"""The parts of a NumPy docstring that hven shows: summary, description, parameters and named sections."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

_ENTRY = re.compile(r"(?P<names>\*{0,2}\w+(\s*,\s*\*{0,2}\w+)*)\s*(:.*)?")


@dataclass(frozen=True)
class Docstring:
    """A docstring in parts.

    Attributes
    ----------
    summary
        The first paragraph on one line.
    body
        What follows it, up to the first section.
    sections
        Section texts by title.
    parameters
        Descriptions from the Parameters section, by name, each on one line.
    """

    summary: str
    body: str
    sections: Mapping[str, str]
    parameters: Mapping[str, str]


def read_docstring(text: str | None) -> Docstring:
    """Return the parts of a NumPy docstring.

    Examples
    --------
    >>> doc = read_docstring('''Gradient of a disc.
    ...
    ... Parameters
    ... ----------
    ... bins
    ...     How many populations.
    ... ''')
    >>> doc.summary, doc.parameters["bins"]
    ('Gradient of a disc.', 'How many populations.')
    """
    lines = inspect.cleandoc(text or "").splitlines()
    heads = [i for i in range(len(lines) - 1) if lines[i].strip() and re.fullmatch(r"-{3,}", lines[i + 1].strip())]
    front = "\n".join(lines[: heads[0] if heads else None]).strip()
    summary, _, body = front.partition("\n\n")
    sections = {
        lines[i].strip(): inspect.cleandoc("\n".join(lines[i + 2 : j])).rstrip()
        for i, j in pairwise([*heads, len(lines)])
    }
    return Docstring(" ".join(summary.split()), body.strip(), sections, _entries(sections.get("Parameters", "")))


def _entries(section: str) -> dict[str, str]:
    described: dict[str, list[str]] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line[0].isspace() and (entry := _ENTRY.fullmatch(line.rstrip())):
            names = [name.strip().lstrip("*") for name in entry["names"].split(",")]
            described.update({name: [] for name in names})
        else:
            for name in names:
                described[name].append(line.strip())
    return {name: " ".join(" ".join(text).split()) for name, text in described.items()}

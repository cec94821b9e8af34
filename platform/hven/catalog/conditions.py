"""Conditions on what an entry says of itself: text, kind, survey, ranges, sky, origin."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, ClassVar

from hven.catalog.query import ColumnsOf, Query, Searchable, names_only

if TYPE_CHECKING:
    from hven.sky import Region

SHORTEST_ID = 4
"""Characters of a run's id that name it."""


@dataclass(frozen=True, repr=False)
class Text(Query):
    """Every word begins a word of the name, the texts, the citations, or the columns' names and descriptions."""

    text: str
    cost: ClassVar[int] = 3

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:
        """Return which items fit; columns' descriptions are looked up only for those that miss a word without them."""
        words = [_word(word) for word in folded(self.text).split()]
        missing = [[word for word in words if not word.search(text)] for text in map(_texts, items)]
        left = [i for i, words_left in enumerate(missing) if words_left]
        for i, columns in zip(left, columns_of([items[i] for i in left]) if left else (), strict=True):
            text = folded("\n".join(column.description for column in columns))
            missing[i] = [word for word in missing[i] if not word.search(text)]
        return [not words_left for words_left in missing]

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:
        """Name the words that are nowhere."""
        words = [word for word in self.text.split() if not any(Text(word).mask(items, columns_of))]
        if not words:
            return f"No dataset has all the words of {self.text!r}."
        return f"No dataset has the word {' nor '.join(map(repr, words))}."

    def __repr__(self) -> str:
        return f"matching({self.text!r})"


@dataclass(frozen=True, repr=False)
class OfKind(Query):
    """Exactly this kind of dataset."""

    kind: str

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:  # noqa: ARG002
        """Return which items fit."""
        return [item.kind == self.kind for item in items]

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:  # noqa: ARG002
        """Tell the kinds there are."""
        return f"No dataset of kind {self.kind!r}; there are: {_listed(item.kind for item in items)}."

    def __repr__(self) -> str:
        return f"matching(kind={self.kind!r})"


@dataclass(frozen=True, repr=False)
class OfSurvey(Query):
    """Every word begins a word of the survey's name."""

    survey: str

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:  # noqa: ARG002
        """Return which items fit."""
        words = [_word(word) for word in folded(self.survey).split()]
        return [all(word.search(text) for word in words) for text in (folded(item.survey) for item in items)]

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:  # noqa: ARG002
        """Tell the surveys there are."""
        return f"No dataset of survey {self.survey!r}; there are: {_listed(item.survey for item in items)}."

    def __repr__(self) -> str:
        return f"matching(survey={self.survey!r})"


@dataclass(frozen=True, repr=False)
class InRange(Query):
    """What an entry spans (`wavelength` or `resolution`) has a value in common with a closed range."""

    what: str
    low: float
    high: float

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:  # noqa: ARG002
        """Return which items fit."""
        spans = [span_of(item, self.what) for item in items]
        return [span is not None and span[0] <= self.high and span[1] >= self.low for span in spans]

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:  # noqa: ARG002
        """Tell how many datasets tell, and what they span."""
        spans = [span for span in (span_of(item, self.what) for item in items) if span is not None]
        told = f"No dataset has a {self.what} {self._words()}; {len(spans)} of {len(items)} tell theirs"
        if not spans:
            return f"{told}."
        unit = " Angstrom" if self.what == "wavelength" else ""
        return f"{told}, from {min(s[0] for s in spans):g} to {max(s[1] for s in spans):g}{unit}."

    def __repr__(self) -> str:
        return f"matching({self.what}=({_end(self.low)}, {_end(self.high)}))"

    def _words(self) -> str:
        if self.low == self.high:
            return f"of {self.low:g}"
        ends = [f"from {self.low:g}" * isfinite(self.low), f"to {self.high:g}" * isfinite(self.high)]
        return " ".join(filter(None, ends))


@dataclass(frozen=True, repr=False)
class InRegion(Query):
    """The coverage meets a region of the sky."""

    region: "Region"
    cost: ClassVar[int] = 1

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:  # noqa: ARG002
        """Return which items fit."""
        from hven.sky import meeting

        return meeting(self.region, [item.coverage for item in items])

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:  # noqa: ARG002
        """Tell how many datasets say where on the sky they are."""
        told = sum(bool(item.coverage) for item in items)
        return f"No dataset covers {self.region.to_text()}; {told} of {len(items)} tell where on the sky they are."

    def __repr__(self) -> str:
        return f"matching(region={self.region.to_text()!r})"


@dataclass(frozen=True, repr=False)
class ProducedBy(Query):
    """Made by this analysis, reader or run."""

    maker: str

    def mask(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> list[bool]:  # noqa: ARG002
        """Return which items fit."""
        return [self._made(item) for item in items]

    def why_none(self, items: Sequence[Searchable], columns_of: ColumnsOf = names_only) -> str:  # noqa: ARG002
        """Tell the makers there are."""
        return f"No dataset was made by {self.maker!r}; the makers are: {_listed(m for i in items for m in makers(i))}."

    def __repr__(self) -> str:
        return f"matching(produced_by={self.maker!r})"

    def _made(self, item: Searchable) -> bool:
        run = str(item.provenance.get("run", ""))
        is_run = len(self.maker) >= SHORTEST_ID and (run.startswith(self.maker) or run.endswith(self.maker))
        return is_run or any(self.maker in {maker, maker.rpartition(":")[2]} for maker in makers(item))


def makers(item: Searchable) -> list[str]:
    """Return the analysis, or the readers (``module:name``), that made a dataset.

    Appended rows may come from other readers than the first.
    """
    told = item.provenance
    records = [told, *told.get("appended", ())]
    found = [str(told["analysis"])] if "analysis" in told else []
    for record in records:
        readers = record.get("reader", ()) if hasattr(record, "get") else ()
        found += [readers] if isinstance(readers, str) else map(str, readers)
    return list(dict.fromkeys(found))


def folded(text: str) -> str:
    """Return text in small letters without accents.

    Examples
    --------
    >>> folded("Réf. ÅNGSTRÖM")
    'ref. angstrom'
    """
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def span_of(item: Searchable, what: str) -> tuple[float, float] | None:
    """Return the ``wavelength`` or ``resolution`` of an item."""
    return item.wavelength if what == "wavelength" else item.resolution


def _texts(item: Searchable) -> str:
    texts = (item.name, item.title, item.description, item.survey, *item.columns, *item.citation)
    return folded("\n".join(texts))


def _word(word: str) -> "re.Pattern[str]":
    begins = r"(?<![^\W_])" if word[0].isalnum() else ""
    return re.compile(begins + re.escape(word))


def _listed(values: Iterable[str], most: int = 8) -> str:
    known = sorted({value for value in values if value})
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return (", ".join(known[:most]) or "none") + more


def _end(value: float) -> str:
    if value in {-inf, inf}:
        return "None"
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)

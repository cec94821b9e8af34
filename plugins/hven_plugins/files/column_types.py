"""Types of the columns of a text table, decided over all of its rows, and what is doubtful about them."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hven import Note
from hven_plugins.files.exact_ids import is_id
from hven_plugins.files.words import INFINITE, NULLS, NUMBER, NUMBER_NULLS, is_nearly_number

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["null", "bool", "int", "whole", "float", "text", "vector"]
_MOST_WORDS = 200
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([, ']\d{3})+(\.\d+)?|[+-]?\d{1,3}(\.\d{3})+(,\d+)?")
_POINTS_OF_THOUSANDS = r"^[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?$"
_MOSTLY = 0.8
_EXACT = 2**53
_MINUS = "\u2212"
_ELEMENT = r"(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|-?inf)"
_VECTOR = (
    r"^[\[(]\s*[-+.\dnN][-+.\deEnulNaIif\s]*,[-+.\deEnulNaIif,\s]*[\])]$"
    rf"|^\[\s*{_ELEMENT}(?:\s+{_ELEMENT})+\s*\]$"
)


@dataclass
class ColumnFacts:
    """What the values of one column are, over the blocks of a file."""

    name: str
    decimal_comma: bool = False
    values: int = 0
    ints: int = 0
    floats: int = 0
    whole: int = 0
    huge: int = 0
    zeros: int = 0
    minus_zeros: int = 0
    largest: int = 0
    odd_exponents: bool = False
    minus_signs: bool = False
    overflows: int = 0
    words: Counter[str] = field(default_factory=Counter)
    other_words: int = 0
    hours: int = 0
    vectors: int = 0
    lengths: set[int] = field(default_factory=set)

    def take(self, texts: "pl.Series") -> None:
        """Take in the values of a block: texts without blanks around them."""
        import polars as pl

        texts = texts.drop_nulls()
        texts = texts.filter(texts != "")
        self.values += texts.len()
        if texts.str.contains(_MINUS, literal=True).any():
            self.minus_signs = True
            texts = _plain_minus(texts)
        if self.decimal_comma:
            grouped = texts.str.contains(_POINTS_OF_THOUSANDS)
            self._take_words(texts.filter(grouped))
            texts = _points(texts.filter(~grouped))
        ints = texts.cast(pl.Int64, strict=False)
        self.ints += (count := texts.len() - ints.null_count())
        if count:
            self.largest = max(
                self.largest, int(ints.drop_nulls().to_numpy().max()), -int(ints.drop_nulls().to_numpy().min())
            )
            self.zeros += int(texts.str.contains(r"^[+-]?0\d+$").sum())
            self.minus_zeros += int((texts == "-0").sum())
        if count == texts.len():
            return
        rest = texts.filter(ints.is_null())
        floats = rest.cast(pl.Float64, strict=False)
        is_float = (floats.is_not_null() & floats.is_not_nan()).fill_null(value=False)
        self.floats += int(is_float.sum())
        self.overflows += int((floats.is_infinite() & ~rest.str.contains(INFINITE)).fill_null(value=False).sum())
        if is_float.any():
            whole = rest.str.contains(r"^[+-]?\d+$")
            self.huge += int(whole.sum())
            self.floats -= int(whole.sum())
            self.whole += int(rest.str.contains(r"^[+-]?\d+\.0*$").sum())
        rest = rest.filter(~is_float)
        if rest.is_empty():
            return
        odd = rest.str.contains(NUMBER)
        if odd.any():
            self.floats += int(odd.sum())
            self.odd_exponents = True
            rest = rest.filter(~odd)
        vectors = rest.filter(rest.str.contains(_VECTOR))
        if vectors.len():
            self.vectors += vectors.len()
            self.lengths |= set((_commas(vectors).str.count_matches(",") + 1).unique().to_list())
            self.other_words += vectors.len()
            rest = rest.filter(~rest.str.contains(_VECTOR))
        self.hours = max(self.hours, _largest_hour(rest))
        self._take_words(rest)

    def _take_words(self, texts: "pl.Series") -> None:
        for word, times in texts.value_counts(sort=True).head(_MOST_WORDS).iter_rows():
            if word in self.words or len(self.words) < _MOST_WORDS:
                self.words[word] += times
        self.other_words += texts.len()

    @property
    def numbers(self) -> int:
        """How many values are numbers."""
        return self.ints + self.floats + self.huge


@dataclass(frozen=True)
class ColumnType:
    """The type of a column, the texts that mean missing in it, and what a person should know of it."""

    kind: Kind
    nulls: frozenset[str] = frozenset(NULLS)
    notes: tuple[Note, ...] = ()
    decimal_comma: bool = False
    odd_exponents: bool = False
    minus_signs: bool = False
    length: int = 0

    def cast(self, texts: "pl.Series") -> "pl.Series":
        """Return a block of texts as values of this type.

        Examples
        --------
        >>> import polars as pl
        >>> ColumnType("float", odd_exponents=True).cast(pl.Series("x", ["1.5D+03", "nan", ""])).to_list()
        [1500.0, None, None]
        """
        import polars as pl

        if self.kind == "null":
            return pl.Series(texts.name, [None] * texts.len(), dtype=pl.Float64)
        if self.kind == "text":
            missing = texts.is_in(sorted(self.nulls))
            return texts.set(missing.fill_null(value=False), None) if missing.any() else texts
        if self.kind == "bool":
            lower = texts.str.to_lowercase()
            return pl.select(
                pl.when(lower.is_in(["true", "false"]).fill_null(value=False)).then(lower == "true").alias(texts.name)
            ).to_series()
        if self.kind == "vector":
            return _as_vectors(texts, self.length)
        if self.minus_signs:
            texts = _plain_minus(texts)
        if self.decimal_comma:
            texts = _points(texts)
        if self.kind == "int":
            return texts.cast(pl.Int64, strict=False)
        if self.kind == "whole":
            return texts.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
        if self.odd_exponents:
            texts = texts.str.replace("[dDqQ]", "e").str.replace(r"(\d|\.)([+-]\d{3})$", "${1}e${2}")
        return texts.cast(pl.Float64, strict=False).fill_nan(None)


def column_type(facts: ColumnFacts, nulls: Collection[str] | None = None) -> ColumnType:
    """Return the type of a column.

    Numbers stay numbers when words among them say that a value is missing, or when one word alone stands for it. Whole
    numbers with leading zeros, or beyond 64 bits, are text. Other words among numbers make the column text, which needs
    attention.

    Parameters
    ----------
    facts
        Of all rows.
    nulls
        Texts that mean missing, as the user says them.

    Examples
    --------
    >>> import polars as pl
    >>> facts = ColumnFacts("teff")
    >>> facts.take(pl.Series(["5000", "4000", "masked"]))
    >>> column_type(facts).kind, str(column_type(facts).notes[0])
    ('int', "column 'teff': 'masked' (1 value) is taken as missing")
    """
    text_nulls = frozenset(NULLS if nulls is None else nulls)
    missing = frozenset(NUMBER_NULLS if nulls is None else nulls)
    found = {word: times for word, times in facts.words.items() if word not in missing}
    unknown = facts.other_words - sum(times for word, times in facts.words.items() if word in missing)
    if not facts.numbers:
        if facts.vectors and facts.vectors == unknown:
            note = Note(f"column {facts.name!r} holds vectors written as text, such as (1.0, 2.0)", column=facts.name)
            length = next(iter(facts.lengths)) if len(facts.lengths) == 1 else 0
            return ColumnType("vector", text_nulls, (note,), length=length)
        words = {word.lower() for word in found}
        if unknown and words <= {"true", "false"}:
            return ColumnType("bool", text_nulls)
        if found and all(_THOUSANDS.fullmatch(word) for word in found):
            example = next(iter(found))
            text = f"column {facts.name!r} has numbers with separators of thousands, such as {example!r}: kept as text"
            return ColumnType("text", text_nulls, (Note(text, True, facts.name),))
        if found and all(re.fullmatch(r"\[.*\.\.\..*\]", word, re.DOTALL) for word in found):
            text = f"column {facts.name!r} holds vectors that were shortened when they were printed (...): kept as text"
            return ColumnType("text", text_nulls, (Note(text, True, facts.name),))
        known = sum(times for word, times in facts.words.items() if word not in text_nulls)
        notes = _text_notes(facts, found, unknown)
        return ColumnType("text" if known or unknown else "null", text_nulls, tuple(notes))
    notes = []
    if unknown:
        alone = next(iter(found)) if len(found) == 1 and sum(found.values()) == unknown else ""
        is_word = bool(alone) and not any(character.isdigit() for character in alone) and nulls is None
        if not is_word or unknown > facts.numbers or is_id(facts.name):
            return ColumnType("text", text_nulls, tuple(_text_notes(facts, found, unknown)))
        notes.append(
            Note(f"column {facts.name!r}: {alone!r} ({_counted(unknown)}) is taken as missing", True, facts.name)
        )
        missing |= {alone}
    kind: Kind = "float" if facts.floats else "int"
    if not facts.floats and facts.zeros:
        notes = [Note(f"column {facts.name!r} has leading zeros: kept as text", column=facts.name)]
        return ColumnType("text", text_nulls, tuple(notes))
    if not facts.floats and facts.huge:
        text = f"column {facts.name!r} has whole numbers beyond 2^63 - 1: kept as text"
        return ColumnType("text", text_nulls, (Note(text, True, facts.name),))
    if facts.minus_zeros:
        kind = "float"
    if kind == "float" and is_id(facts.name) and facts.whole == facts.floats and not facts.huge:
        kind = "whole"
        notes.append(
            Note(f"column {facts.name!r} holds whole numbers as decimals: kept as integers", column=facts.name)
        )
    elif kind == "float" and (facts.huge or facts.largest > _EXACT):
        text = f"column {facts.name!r} mixes fractions with whole numbers beyond 2^53, which are rounded"
        notes.append(Note(text, True, facts.name))
    if facts.overflows:
        text = f"column {facts.name!r}: {_counted(facts.overflows)} too large for numbers of 64 bits: kept as infinite"
        notes.append(Note(text, True, facts.name))
    seen = {word: facts.words[word] for word in facts.words if word in missing and word not in text_nulls}
    for word, times in seen.items():
        if nulls is None and word not in found:
            notes.append(
                Note(f"column {facts.name!r}: {word!r} ({_counted(times)}) is taken as missing", column=facts.name)
            )
    return ColumnType(kind, missing, tuple(notes), facts.decimal_comma, facts.odd_exponents, facts.minus_signs)


def _text_notes(facts: ColumnFacts, found: dict[str, int], unknown: int) -> list[Note]:
    if not unknown:
        return []
    share = facts.numbers / (facts.numbers + unknown)
    if share <= 0.5:
        nearly = {word: times for word, times in found.items() if is_nearly_number(word)}
        if is_id(facts.name) or sum(nearly.values()) + facts.numbers < _MOSTLY * (sum(found.values()) + facts.numbers):
            return []
        examples = ", ".join(repr(word) for word in list(nearly)[:3])
        text = (
            f"column {facts.name!r} is kept as text: its values are numbers with something beside them, as {examples}"
        )
        return [Note(text, True, facts.name)]
    examples = ", ".join(repr(word) for word in list(found)[:3])
    return [
        Note(
            f"column {facts.name!r} ended as text though {100 * share:.3g} % of its values are numbers:"
            f" others are {examples}",
            True,
            facts.name,
        )
    ]


def _counted(times: int) -> str:
    return f"{times:,} value{'s' * (times != 1)}"


def _plain_minus(texts: "pl.Series") -> "pl.Series":
    """Return texts in which the minus signs of print are those of the keyboard."""
    return texts.str.replace_all(_MINUS, "-", literal=True)


def _points(texts: "pl.Series") -> "pl.Series":
    """Return texts in which decimal commas of numbers are points."""
    return texts.str.replace(r"^([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)$", "${1}.${2}")


def _commas(texts: "pl.Series") -> "pl.Series":
    """Return vectors with commas between their elements, where NumPy prints blanks."""
    import polars as pl

    bare = texts.str.strip_chars("()[] \n\t")
    with_commas = bare.str.replace_all(r"\s+", ",")
    return pl.select(pl.when(bare.str.contains(",")).then(bare).otherwise(with_commas).alias(texts.name)).to_series()


def _as_vectors(texts: "pl.Series", length: int) -> "pl.Series":
    """Return vectors written as (1.0, 2.0) or [1.0, 2.0]: arrays where all have one length."""
    import polars as pl

    inner = _commas(texts).str.strip_chars("()[] \n\t").str.split(",")
    values = inner.list.eval(pl.element().str.strip_chars().cast(pl.Float64, strict=False))
    known = texts.str.contains(_VECTOR).fill_null(value=False)
    values = pl.select(pl.when(known).then(values).alias(texts.name)).to_series()
    return values.list.to_array(length) if length else values


def _largest_hour(texts: "pl.Series") -> int:
    """Return the largest whole part of angles written as 350:30:00, 0 when there is none."""
    import polars as pl

    whole = texts.str.extract(r"^\+?(\d{1,3})[:\s_]\d{1,2}[:\s_]\d", 1).cast(pl.Int64, strict=False)
    known = whole.drop_nulls()
    return int(known.to_numpy().max()) if known.len() else 0

"""Readers and exporters: plugin functions between survey files and Datasets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from hven.errors import DataRefusedError, DeclarationError, MissingColumnError, ParameterError, did_you_mean
from hven.plugins.claims import Claim, FileHead
from hven.plugins.docstring import read_docstring
from hven.plugins.importing import find_object
from hven.plugins.parameters import check_parameters, parameter_misfits, parameters_model, parse_texts, signature
from hven.schema import KINDS, check_name

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr
    from pydantic import BaseModel

    from hven.schema import Column, Note


@dataclass(frozen=True)
class Batch:
    """Some rows of a survey file, as a reader hands them on.

    Attributes
    ----------
    parts
        Row-aligned data by part name. The first is the table of objects, called ``""``; further ones (spectra, say)
        become datasets of their own, named after it. Frames, or Datasets with the rows along ``object``.
    columns
        Units, descriptions and UCDs of columns, as far as the file tells.
    identity
        Columns of the first part that tell objects apart, from which ``object_id`` is made.
    survey, title, description
        Texts for the catalog.
    citation
        What to cite: bibcodes, arXiv ids or DOIs.
    position
        The two columns with ICRS coordinates in degrees; None for data without a place on the sky.
    notes
        What was assumed, converted or left out while reading; a person sees those that need attention.

    Examples
    --------
    >>> import polars as pl
    >>> Batch({"": pl.DataFrame({"source_id": [7, 8]})}, identity=("source_id",)).rows
    2
    """

    parts: "Mapping[str, pl.DataFrame | xr.Dataset]"
    columns: "tuple[Column, ...]" = ()
    identity: tuple[str, ...] = ()
    survey: str = ""
    title: str = ""
    description: str = ""
    citation: tuple[str, ...] = ()
    position: tuple[str, str] | None = None
    notes: "tuple[Note, ...]" = ()

    def __post_init__(self) -> None:
        rows = {name: _rows(part) for name, part in self.parts.items()}
        if not rows or len(set(rows.values())) > 1:
            raise DataRefusedError(
                f"a batch has parts of unequal rows: {rows}" if rows else "a batch has no parts",
                expected="at least one part, all with the same rows",
                hint="Correct the reader.",
            )
        names = _names(next(iter(self.parts.values())))
        for name in (*self.identity, *(self.position or ())):
            if name not in names:
                raise MissingColumnError(
                    f"a batch names column {name!r} for identity or position, and has none",
                    hint=did_you_mean(name, names, f"Its columns are: {', '.join(names)}."),
                )

    @property
    def rows(self) -> int:
        """How many rows every part has."""
        return _rows(next(iter(self.parts.values())))


@dataclass(frozen=True)
class Reader:
    """A function that reads survey files of one kind; see `reader`."""

    function: Callable[..., Iterator[Batch]]
    name: str
    patterns: tuple[str, ...]
    produces: Mapping[str, str]
    description: str
    options: "type[BaseModel]" = field(repr=False)
    claims: Callable[[FileHead], Claim | None] | None = field(default=None, repr=False)

    def __call__(self, path: Any, **options: Any) -> Iterator[Batch]:
        """Return the batches of the file at `path`; a ParameterError names the first bad option."""
        return self.function(path, **check_parameters(self.options, options, f"reader {self.name!r}"))

    def misfits(self, options: Mapping[str, Any]) -> list[ParameterError]:
        """Return everything that is wrong with the options, not only the first."""
        return parameter_misfits(self.options, options, f"reader {self.name!r}")

    def parse_texts(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the options that texts from a command line mean."""
        return parse_texts(self.options, texts, f"reader {self.name!r}")

    def matches(self, path: Any) -> int:
        """Return how specific the best matching pattern is for the name of a file, 0 when none matches."""
        return specificity(self.patterns, path)

    def claim(self, head: FileHead) -> Claim | None:
        """Return what the reader says of a file: from its content, or by its name if it does not look into it.

        A reader that declares `claims` is never chosen by the name alone.
        """
        if self.claims is not None:
            return self.claims(head)
        if not head.is_folder and self.matches(head.path):
            return Claim(f"a file called {head.name}", "name", f"its name fits {', '.join(self.patterns)}")
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain values, for ``--json``."""
        return {
            "name": self.name,
            "summary": self.description,
            "patterns": list(self.patterns),
            "produces": dict(self.produces),
            "options": self.options.model_json_schema(),
        }

    def __reduce__(self) -> Any:
        return find_object, (self.function.__module__, self.function.__qualname__)


@dataclass(frozen=True)
class Exporter:
    """A function that writes survey files of one kind; see `exporter`."""

    function: Callable[..., None]
    name: str
    patterns: tuple[str, ...]
    takes: tuple[str, ...]
    description: str
    options: "type[BaseModel]" = field(repr=False)

    def __call__(self, data: Any, path: Any, **options: Any) -> None:
        """Write `data` to `path`; a ParameterError names the first bad option."""
        self.function(data, path, **check_parameters(self.options, options, f"exporter {self.name!r}"))

    def parse_texts(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the options that texts from a command line mean."""
        return parse_texts(self.options, texts, f"exporter {self.name!r}")

    def matches(self, path: Any) -> int:
        """Return how specific the best matching pattern is for the name of a file, 0 when none matches."""
        return specificity(self.patterns, path)

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain values, for ``--json``."""
        return {
            "name": self.name,
            "summary": self.description,
            "patterns": list(self.patterns),
            "takes": list(self.takes),
            "options": self.options.model_json_schema(),
        }

    def __reduce__(self) -> Any:
        return find_object, (self.function.__module__, self.function.__qualname__)


def reader(
    *,
    name: str = "",
    patterns: tuple[str, ...] = (),
    produces: Mapping[str, str] | None = None,
    description: str = "",
    with_options_of: Callable[..., Any] | None = None,
    claims: Callable[[FileHead], Claim | None] | None = None,
) -> Callable[[Callable[..., Iterator[Batch]]], Reader]:
    """Return a decorator that makes a `Reader` of a function ``f(path, *, ...) -> Iterator[Batch]``.

    The function yields batches of rows in the file's order and raises `UnreadableFileError` for a file that is not
    what it says. Its keyword-only arguments are the reader's options.

    Parameters
    ----------
    name
        The reader's name; the function's when empty.
    patterns
        File names it takes, as ``("*.fits", "*.fits.gz")``; case does not matter. The most specific pattern wins.
    produces
        The kind of each part, ``{"": "table"}`` when not given.
    description
        One line; the docstring's first when empty.
    with_options_of
        A function that several readers call, such as one that makes the batch. The reader takes its keyword-only
        arguments as ``**options`` and hands them on: they are options of the reader too, with their types, defaults
        and descriptions.
    claims
        A function ``f(head) -> Claim | None`` that looks into the beginning of a file (`FileHead`) and says whether the
        reader reads it. Without one the name of the file decides.

    Raises
    ------
    DeclarationError
        If a kind is unknown, the function does not take a path, or the options of the two functions do not go together.

    Examples
    --------
    >>> @reader(patterns=("*.txt",))
    ... def lines(path, *, skip: int = 0):
    ...     '''Lines of a text file.'''
    >>> lines.name, lines.description, lines.matches("Stars.TXT") > 0
    ('lines', 'Lines of a text file.', True)

    >>> def text_batch(lines, *, comment: str = "#", survey: str = ""): ...
    >>> @reader(with_options_of=text_batch)
    ... def words(path, *, separator: str = " ", **options):
    ...     yield text_batch(open(path).read().split(separator), **options)
    >>> list(words.options.model_fields)
    ['separator', 'comment', 'survey']
    """

    def declare(function: Callable[..., Iterator[Batch]]) -> Reader:
        kinds = dict(produces or {"": "table"})
        _check_kinds(function, kinds.values())
        _check_arguments(function, 1, "path")
        text = description or read_docstring(function.__doc__).summary
        called = check_name(name or function.__name__, "reader")
        return Reader(
            function, called, tuple(patterns), kinds, text, parameters_model(function, with_options_of), claims
        )

    return declare


def exporter(
    *, name: str = "", patterns: tuple[str, ...] = (), takes: tuple[str, ...] = ("table",), description: str = ""
) -> Callable[[Callable[..., None]], Exporter]:
    """Return a decorator that makes an `Exporter` of a function ``f(data, path, *, ...) -> None``.

    Parameters
    ----------
    name
        The exporter's name; the function's when empty.
    patterns
        File names it is chosen for, as ``("*.csv",)``.
    takes
        The kinds of dataset it writes. A table arrives as a Polars frame, anything else as an xarray Dataset.
    description
        One line; the docstring's first when empty.

    Raises
    ------
    DeclarationError
        If a kind is unknown or the function does not take data and a path.

    Examples
    --------
    >>> @exporter(name="csv", patterns=("*.csv",))
    ... def write_csv(data, path, *, separator: str = ","):
    ...     '''Comma-separated values.'''
    >>> csv = write_csv
    >>> csv.name, csv.takes
    ('csv', ('table',))
    """

    def declare(function: Callable[..., None]) -> Exporter:
        _check_kinds(function, takes)
        _check_arguments(function, 2, "data, path")
        text = description or read_docstring(function.__doc__).summary
        called = check_name(name or function.__name__, "exporter")
        return Exporter(function, called, tuple(patterns), tuple(takes), text, parameters_model(function))

    return declare


def specificity(patterns: tuple[str, ...], path: Any) -> int:
    """Return one more than the literal characters of the longest pattern that the name of `path` matches, 0 for none.

    Examples
    --------
    >>> specificity(("*.fits", "apogee_*.fits"), "/data/apogee_dr17.fits")
    13
    """
    name = PurePath(str(path)).name.lower()
    return max((1 + len(p.replace("*", "")) for p in patterns if fnmatch(name, p.lower())), default=0)


def _names(part: Any) -> list[str]:
    return [str(name) for name in (part.variables if hasattr(part, "sizes") else part.columns)]


def _rows(part: Any) -> int:
    return int(part.sizes.get("object", 0)) if hasattr(part, "sizes") else int(part.height)


def _check_kinds(function: Callable[..., Any], kinds: Any) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise DeclarationError(
                f"there is no kind {kind!r} of dataset",
                where=f"{function.__module__}.{function.__qualname__}",
                hint=did_you_mean(kind, KINDS, f"The kinds are: {', '.join(KINDS)}."),
            )


def _check_arguments(function: Callable[..., Any], count: int, names: str) -> None:
    kinds = [p.kind for p in signature(function).parameters.values()]
    positional = [k for k in kinds if k in (0, 1)]
    if len(positional) != count:
        raise DeclarationError(
            f"the function takes {len(positional)} positional arguments",
            where=f"{function.__module__}.{function.__qualname__}",
            expected=f"({names}) and keyword-only options",
            hint="Put '*' before the options.",
        )

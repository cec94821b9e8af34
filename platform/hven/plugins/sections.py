"""Report sections: what a plugin adds to the report of a run, as data; hven makes the page of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hven.errors import DeclarationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ReportSection:
    """One section of a run's report: a title, and text, a table and figures, each as far as there is any.

    Attributes
    ----------
    title
        Its heading.
    text
        Paragraphs, separated by blank lines; what stands between backticks is code. HTML is shown as it is written.
    columns, rows
        Headings of a table, and its rows: each as many values as there are headings.
    figures
        Matplotlib figures by name.

    Raises
    ------
    DeclarationError
        If it has no title, or a row of another length than the headings.

    Examples
    --------
    >>> section = ReportSection("In brief", columns=("population", "slope"), rows=[("all", "-0.071")])
    >>> section.rows
    [('all', '-0.071')]
    """

    title: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    figures: "Mapping[str, Figure]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            raise DeclarationError("a report section has no title", hint="Give it one.")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise DeclarationError(
                    f"a row of the report section {self.title!r} has {len(row)} values",
                    expected=f"{len(self.columns)}, one for each of its columns",
                    hint="Correct the rows.",
                )

"""What a run came to, on the terminal: its state and caveats first, then the numbers."""

from typing import TYPE_CHECKING

from hven.cli.output import print_table, print_text
from hven.errors import HvenError

if TYPE_CHECKING:
    from hven.compute import Run


def print_result(run: "Run") -> None:
    """Print how a run ended, what one should know before using its result, and the numbers of the result."""
    from hven.compute import result_tables

    print_text(headline(run))
    for caveat in (*run.warnings, *run.caveats):
        print_text(f"  ! {caveat}")
    try:
        tables = result_tables(run)
    except HvenError as error:
        # The result of a run of long ago may have been dropped since.
        print_text(f"  ! Its result cannot be shown: {error.what}")
        return
    for table in tables:
        print_text(f"\n{table.title}")
        print_table(table.columns, table.rows)
        if table.note:
            print_text(f"({table.note})")


def headline(run: "Run") -> str:
    """Return in a line what became of a run."""
    if run.was_up_to_date:
        return f"{run.output}: up to date (run {run.made_by}): nothing that it takes in has changed."
    return f"{run.output}: {run.state} (run {run.id})"

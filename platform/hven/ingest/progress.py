"""The progress bar of an ingest, on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_progress(total: int, wanted: bool | None) -> Iterator[Callable[[str, bool], None]]:
    """Give a function to call with what is being done, and whether that ends one of `total` steps.

    Parameters
    ----------
    total
        How many steps there are.
    wanted
        Whether to show a bar; None shows one when stderr is a terminal.

    Examples
    --------
    >>> with shown_progress(1, wanted=False) as tell:
    ...     tell("reading stars.fits", True)
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda _text, _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("ingest", total=total)

        def tell(text: str, done: bool) -> None:
            bar.update(task, description=text, advance=int(done))

        yield tell

"""Survey files of one ingest: which are new, which are known, and which have changed since they were read."""

from collections.abc import Sequence
from dataclasses import dataclass

from hven.ingest.known_files import KnownFile, Print


@dataclass(frozen=True)
class SurveyFile:
    """A file to read.

    Attributes
    ----------
    number
        Of the file in its dataset.
    path
        Where it is; None for a reader that finds its file by itself.
    print
        What tells it from others; None when it is no file here.
    replaces
        Numbers of the files of the dataset whose rows it takes the place of.
    """

    number: int
    path: str | None
    print: Print | None = None
    replaces: tuple[int, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """The files to read, and the paths that are skipped: their bytes are in the dataset."""

    new: tuple[SurveyFile, ...]
    skipped: tuple[str | None, ...]


def files_to_read(
    paths: Sequence[str | None],
    prints: Sequence[Print | None],
    how: str,
    known: Sequence[KnownFile],
    number: int = 0,
    *,
    again: bool = False,
    replaces: bool = False,
) -> Chosen:
    """Return which of several files are to be read.

    Parameters
    ----------
    paths, prints
        The files, and what tells each from others.
    how
        A hash of the reader's options: the same file read otherwise is another.
    known
        The files that rows of the dataset are from.
    number
        Of the first new file.
    again
        Whether known files are read again.
    replaces
        Whether a file in the place of a known one, with other bytes, takes the place of its rows.

    Examples
    --------
    >>> prints = [Print("a.csv", "here", "11", 5), Print("b.csv", "there", "22", 5), Print("c.csv", "nowhere", "22", 5)]
    >>> known = [KnownFile(0, "a.csv", "here", "", "10", 5), KnownFile(1, "b.csv", "elsewhere", "", "22", 5)]
    >>> chosen = files_to_read(["a.csv", "b.csv", "c.csv"], prints, "", known, 2, replaces=True)
    >>> [(file.path, file.replaces) for file in chosen.new], chosen.skipped
    ([('a.csv', (0,))], ('b.csv', 'c.csv'))
    """
    alike = [file for file in known if file.how == how]
    by_content = {file.sha256: file.number for file in alike}
    by_place = {file.place: file.number for file in alike}
    new: list[SurveyFile] = []
    skipped: list[str | None] = []
    seen: set[str] = set()
    for path, mark in zip(paths, prints, strict=True):
        if mark is not None and (mark.sha256 in seen or (mark.sha256 in by_content and not again)):
            skipped.append(path)
            continue
        gone = set()
        if mark is not None:
            seen.add(mark.sha256)
            gone = {by_content[mark.sha256]} if mark.sha256 in by_content else set()
            if replaces and mark.place in by_place:
                gone.add(by_place[mark.place])
        new.append(SurveyFile(number + len(new), path, mark, tuple(sorted(gone))))
    return Chosen(tuple(new), tuple(skipped))

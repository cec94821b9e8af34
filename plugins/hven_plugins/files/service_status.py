"""What a service says in a VOTable of its own answer: an error, or a result that is cut."""

from collections.abc import Iterator
from typing import Any

from hven import Note
from hven.errors import UnreadableFileError


def service_notes(document: Any, where: str) -> list[Note]:
    """Return a note where the service says that its result is cut.

    Raises
    ------
    UnreadableFileError
        If it says that the query failed, with its words.
    """
    notes = []
    for info in _infos(document):
        if str(info.name or "").upper() not in ("QUERY_STATUS", "ERROR"):
            continue
        status, words = str(info.value or ""), " ".join(str(info.content or "").split())
        if str(info.name).upper() == "ERROR":
            status, words = "ERROR", words or status
        if status.upper() == "ERROR":
            raise UnreadableFileError(
                f"the service answered with an error: {words or 'it does not say which'}",
                where=where,
                expected="a whole result",
                hint="Correct the query, or ask again; the rows in the file, if any, are not all.",
            )
        if status.upper() == "OVERFLOW":
            said = f" ({words})" if words else ""
            text = f"the result is not whole: the service says OVERFLOW{said}, its limit of rows was reached"
            notes.append(Note(text, needs_attention=True))
    return list(dict.fromkeys(notes))


def _infos(document: Any) -> Iterator[Any]:
    yield from document.infos
    for resource in document.resources:
        yield from _infos_of(resource)


def _infos_of(resource: Any) -> Iterator[Any]:
    yield from resource.infos
    for table in resource.tables:
        yield from table.infos
    for inner in resource.resources:
        yield from _infos_of(inner)

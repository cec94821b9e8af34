"""Texts that are no tables, known by how they begin, so that they are refused by name: pages, documents, programs."""

import html
import re

from hven.plugins.claims import Claim, FileHead

_AGAIN = "Fetch it again; a service answers with such a page instead of a table now and then."
_HTML = re.compile(
    r"\A\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title|h1|pre)\b",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(r"\A\s*<(?:\?xml\b|!doctype\b|[A-Za-z_][\w.:-]*[\s>/])", re.IGNORECASE)
_ROOT = re.compile(r"<(?![?!])([A-Za-z_][\w.:-]*)")
_STARTS: tuple[tuple[str, str, str, str], ...] = (
    ("%!PS", "a PostScript document", "it is a page to print", "Take the machine-readable table of the paper."),
    ("{\\rtf", "a document in RTF", "it is a page to read, not a table", "Save its table as CSV."),
    (
        "\\documentclass",
        "a LaTeX document",
        "it is a paper, not a table",
        "Take the machine-readable table of the paper.",
    ),
    (
        "Traceback (most recent call last)",
        "the error of a Python program",
        "it holds no data",
        "Run the program again.",
    ),
    ("#!", "a script", "it is a program, not a table", "Leave it out."),
    ("-----BEGIN ", "a key or a signed text", "it holds no data", "Leave it out."),
    ("SIMPLE  =", "the header of a FITS file as text", "its data are not in it", "Fetch or copy the file again."),
)


def foreign_text(head: FileHead) -> Claim | None:
    """Return what a text is that no reader reads: an HTML page with its title, XML that is no VOTable, a script.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "stars.csv"
    >>> _ = file.write_text("<!DOCTYPE html><title>503 Service Unavailable</title>")
    >>> foreign_text(FileHead(str(file))).what
    'an HTML page (503 Service Unavailable)'
    """
    start = head.raw[:16384]
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = start.decode(encoding, errors="replace")
    if _HTML.search(text):
        return _refused(f"an HTML page{_title(text)}", "its first element", "it is a page to read, not a table", _AGAIN)
    for begin, what, why, hint in _STARTS:
        if text.lstrip().startswith(begin):
            if begin == "SIMPLE  =" and ("\n" not in text[:400] or head.size >= 2880):
                continue
            return _refused(what, f"it begins with {begin!r}", why, hint)
    if _XML.search(text) and not re.search(r"<(?:\w+:)?VOTABLE\b", text):
        root = _ROOT.search(text)
        name = root[1] if root else "?"
        what = f"an XML document ({name})" if not _is_fault(name) else f"an XML answer of a service{_fault(text)}"
        return _refused(what, f"its root element {name}", "it is no VOTable", _AGAIN)
    return None


def _refused(what: str, why: str, refusal: str, hint: str) -> Claim:
    return Claim(what, "survey", why, refusal, hint)


def _title(text: str) -> str:
    found = re.search(r"<(title|h1)\b[^>]*>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[2])).split()) if found else ""
    return f" ({words[:100]})" if words else ""


def _is_fault(name: str) -> bool:
    return name.rpartition(":")[2].lower() in (
        "error",
        "exceptionreport",
        "serviceexceptionreport",
        "fault",
        "envelope",
    )


def _fault(text: str) -> str:
    words = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
    return f": {words[:150]}" if words else ""

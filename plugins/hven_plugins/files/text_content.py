"""The text of a file: its encoding and line ends, read block by block."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from hven.errors import UnreadableFileError

BLOCK_BYTES = 2**26
"""How much of a file is in memory at once, about."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def find_encoding(start: bytes) -> str:
    r"""Return the encoding of a text from its first bytes, empty where they are no text.

    Examples
    --------
    >>> find_encoding(b"ra,dec"), find_encoding("ra,dec".encode("utf-16")), find_encoding(b"SIMPLE\x00")
    ('utf-8', 'utf-16', '')
    """
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if len(start) > 3 and b"\x00" in start[:64]:
        even, odd = start[0:1000:2], start[1:1000:2]
        if odd.count(0) > 0.9 * len(odd) and not even.count(0):
            return "utf-16-le"
        if even.count(0) > 0.9 * len(even) and not odd.count(0):
            return "utf-16-be"
    return "" if any(start.find(byte) >= 0 for byte in (b"\x00", b"\x01", b"\x02", b"\x7f\x45")) else "utf-8"


def decode_start(start: bytes, encoding: str = "") -> str | None:
    r"""Return the text of the beginning of a file with line feeds as line ends; None where it is no text.

    Examples
    --------
    >>> decode_start("a\r\nb".encode("utf-16")), decode_start(b"\x00\x01")
    ('a\nb', None)
    """
    used = encoding or find_encoding(start)
    if not used:
        return None
    decoder = codecs.getincrementaldecoder(used)(errors="strict" if encoding else "replace")
    try:
        text = decoder.decode(start)
    except UnicodeDecodeError:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_blocks(path: str, encoding: str = "", size: int = BLOCK_BYTES) -> Iterator[str]:
    """Yield a text file in blocks of whole lines with line feeds; a line may be cut within quotes.

    Parameters
    ----------
    path
        Of the file, not compressed.
    encoding
        What the user says; found in the file when empty.
    size
        Of a block in bytes.

    Raises
    ------
    UnreadableFileError
        If the file cannot be opened, or is not in that encoding.
    """
    done = 0
    try:
        with Path(path).open("rb") as file:
            used = encoding or find_encoding(file.read(4096)) or "utf-8"
            file.seek(0)
            decoder = codecs.getincrementaldecoder(used)()
            rest, has_return, raw = "", False, file.read(size)
            while raw:
                following = file.read(size)
                text = ("\r" if has_return else "") + decoder.decode(raw, final=not following)
                done, raw = done + len(raw), following
                has_return = bool(following) and text.endswith("\r")
                text = text[:-1] if has_return else text
                text = rest + (text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text)
                end = text.rfind("\n") + 1 if following else len(text)
                rest = text[end:]
                if end:
                    yield text[:end]
    except OSError as error:
        raise UnreadableFileError(
            f"the file cannot be opened: {error.strerror}", where=path, hint="Correct the path or its rights."
        ) from error
    except (UnicodeDecodeError, LookupError) as error:
        at = f" (byte {done + error.start})" if isinstance(error, UnicodeDecodeError) else ""
        raise UnreadableFileError(
            f"the file is not text in {used.removesuffix('-sig')}{at}: {str(error).splitlines()[0]}",
            where=path,
            expected="text in UTF-8 or UTF-16",
            hint="Say how it is encoded, for instance encoding=latin-1, or write it as UTF-8.",
        ) from error


def leading_lines(path: str, encoding: str = "", *, passed: str = "", most: int = 1000) -> tuple[list[str], list[str]]:
    r"""Return the lines at the beginning of a text that begin with one of `passed`, and the first `most` behind them.

    Of many leading lines the first and last hundred are kept. Blank lines are left out.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.csv"
    >>> _ = file.write_text("# made by hand\n\nra,dec\n1,2\n# end\n")
    >>> leading_lines(str(file), passed="#")
    (['# made by hand'], ['ra,dec', '1,2', '# end'])
    """
    comments: list[str] = []
    lines: list[str] = []
    for block in text_blocks(path, encoding, 2**18):
        for line in block.split("\n"):
            if not line.strip():
                continue
            if not lines and passed and line.lstrip().startswith(tuple(passed)):
                comments.append(line)
                if len(comments) > 200:
                    del comments[100]
                continue
            lines.append(line)
            if len(lines) >= most:
                return comments, lines
    return comments, lines

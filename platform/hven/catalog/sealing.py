"""The seal of a catalog: its text carries the SHA-256 of itself, so that a damaged one is never read.

The digest stands at a fixed place at the beginning, and is that of the text with zeros in its place.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

BEGINNING = b'{"version":2,"metadata":'
"""How the texts of catalogs begin: what stands there is all that a log has to read."""

_SEAL = b'{"sha256":"'
_ZEROS = b"0" * 64
_START = len(BEGINNING) + len(_SEAL)
_STOP = _START + len(_ZEROS)


def sealed(document: Mapping[str, Any]) -> bytes:
    """Return a catalog as text with its digest, as the first of its metadata.

    Examples
    --------
    >>> text = sealed({"version": 2, "metadata": {"hven": {}}})
    >>> is_whole(text), is_whole(text + b" "), is_whole(text.replace(b"{}", b"[]"))
    (True, False, False)
    """
    metadata = {name: value for name, value in document["metadata"].items() if name != "sha256"}
    whole = {**document, "metadata": {"sha256": _ZEROS.decode(), **metadata}}
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    return text[:_START] + hashlib.sha256(text).hexdigest().encode() + text[_STOP:]


def is_whole(text: bytes) -> bool:
    """Return whether a text is just as it was sealed."""
    if not text.startswith(BEGINNING + _SEAL):
        return False
    found = hashlib.sha256(text[:_START])
    found.update(_ZEROS)
    found.update(memoryview(text)[_STOP:])
    return found.hexdigest().encode() == text[_START:_STOP]

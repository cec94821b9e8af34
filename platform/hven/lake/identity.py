"""The identity of a lake: ``hven.json`` says which lake it is, and of which format."""

import json
from functools import lru_cache

from hven.errors import LakeFormatError, LakeNotFoundError
from hven.lake.store import Store

IDENTITY = "hven.json"
FORMAT = 2
"""Of lakes that are made now. Since format 2 no catalog's file is ever deleted, so that the chain has no gaps."""


def read_identity(store: Store) -> tuple[int, str]:
    """Return the format and the id of the lake in a store.

    Raises
    ------
    LakeNotFoundError
        If there is no lake.
    LakeFormatError
        If the file is damaged, or of a format that this hven does not know.
    """
    text = store.get_or_none(IDENTITY)
    if text is None:
        raise LakeNotFoundError(
            "there is no lake", where=store.url, hint="Create one with hven.create(url) or 'hven create PATH'."
        )
    try:
        told = json.loads(text)
        form, identity = int(told["format"]), str(told["lake"])
    except (ValueError, KeyError, TypeError) as error:
        raise LakeFormatError(
            "hven.json is not that of a lake", where=store.url, hint="Restore the file from a copy of the lake."
        ) from error
    if form > FORMAT:
        raise LakeFormatError(
            f"the lake has format {form}", where=store.url, expected=f"at most {FORMAT}", hint="Install a newer hven."
        )
    return form, identity


def identity_text(identity: str) -> bytes:
    """Return the text of ``hven.json`` of a lake of the present format."""
    return json.dumps({"format": FORMAT, "lake": identity}).encode()


@lru_cache(maxsize=64)
def is_gapless(store: Store) -> bool:
    """Return whether the lake is of a format whose chain of catalogs has no gaps."""
    return read_identity(store)[0] >= FORMAT


def raise_format(store: Store) -> None:
    """Say in ``hven.json`` that the lake is of the present format: an older hven refuses it from now on."""
    store.put(IDENTITY, identity_text(read_identity(store)[1]))
    is_gapless.cache_clear()

"""What is said of a dataset beside its data: which texts there are, and the form in which they are kept."""

from collections.abc import Mapping
from typing import Any

from hven.errors import DataRefusedError, did_you_mean
from hven.lake.spans import SPANS, check_span

_TEXTS = ("title", "survey", "description", "citation", "provenance", "identity", *SPANS)
_LISTS = ("citation", "identity")


def check_texts(texts: Mapping[str, Any]) -> None:
    """Refuse a text that datasets do not have.

    Raises
    ------
    DataRefusedError
        With the nearest name.
    """
    for name in texts:
        if name not in _TEXTS:
            raise DataRefusedError(
                f"a dataset has no {name!r}",
                expected=", ".join(_TEXTS),
                hint=did_you_mean(name, _TEXTS, "Leave it out."),
            )


def kept_texts(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return texts as entries keep them: lists as tuples, wavelengths and resolutions checked.

    Examples
    --------
    >>> kept_texts({"title": "Stars", "identity": ["source_id"]})
    {'title': 'Stars', 'identity': ('source_id',)}
    """
    told = {k: tuple(v) if k in _LISTS and not isinstance(v, str) else v for k, v in texts.items()}
    return told | {k: check_span(k, told[k]) for k in SPANS if k in told}

"""Names that hven can keep: safe as folder names on every system, and never leaving the lake's folder."""

import re

from hven.errors import NameRefusedError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*(\.[A-Za-z0-9_\-]+)*")
_LONGEST = 128


def check_name(name: str, what: str = "dataset") -> str:
    """Return `name` when it can name a dataset (or a release, or whatever `what` says).

    Letters, digits, ``_`` and ``-``, single dots between parts (``gradients.map``), starting with a letter or ``_``.

    Raises
    ------
    NameRefusedError
        For anything else, paths such as ``../stars`` among them.

    Examples
    --------
    >>> check_name("apogee_dr17")
    'apogee_dr17'
    >>> check_name("../stars")
    Traceback (most recent call last):
    ...
    hven.errors.NameRefusedError: '../stars' cannot name a dataset. Expected: letters, digits, '_', '-' and single \
dots between parts, starting with a letter. Choose another name.
    """
    if isinstance(name, str) and len(name) <= _LONGEST and _NAME.fullmatch(name):
        return name
    raise NameRefusedError(
        f"{name!r} cannot name a {what}",
        expected="letters, digits, '_', '-' and single dots between parts, starting with a letter",
        hint="Choose another name.",
    )

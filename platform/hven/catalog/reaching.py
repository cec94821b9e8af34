"""Whether a public address answers, and what a person can do when it does not."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hven.errors import SourceUnreachableError

_AGENT = {"User-Agent": "hven (https://hven.readthedocs.io)"}
_NO_HEAD = frozenset({400, 403, 404, 405, 501})
"""Answers of servers that know a file but not the question for its head alone."""
_HUB = re.compile(r"hf://datasets/([^/]+/[^/]+)(/.*)?")


def web_address(address: str) -> str:
    """Return the address at which a browser finds what an object-store address names; others as they are.

    Examples
    --------
    >>> web_address("s3://stpubdata/gaia/gaia_dr3/public/hats/gaia/partition_info.csv")
    'https://stpubdata.s3.amazonaws.com/gaia/gaia_dr3/public/hats/gaia/partition_info.csv'
    >>> web_address("hf://datasets/UniverseTBD/mmu_gz10/mmu_gz10/dataset/**/*.parquet")
    'https://huggingface.co/datasets/UniverseTBD/mmu_gz10'
    """
    if address.startswith("s3://"):
        bucket, _, key = address.removeprefix("s3://").partition("/")
        return f"https://{bucket}.s3.amazonaws.com/{key}"
    if match := _HUB.fullmatch(address):
        return f"https://huggingface.co/datasets/{match[1]}"
    return address


def check_reachable(address: str, timeout: float = 10.0, *, hint: str = "") -> None:
    """Ask for the head of what is at an address, and nothing more.

    Raises
    ------
    SourceUnreachableError
        Naming the address, the reason and the next step (`hint`).
    """
    web = web_address(address)
    if not web.startswith(("http://", "https://")):
        _check_file(address, hint)
        return
    try:
        _ask(web, timeout, "HEAD")
    except OSError as error:
        if getattr(error, "code", 0) not in _NO_HEAD:
            raise _unreachable(web, error, timeout, hint) from error
        try:
            _ask(web, timeout, "GET")
        except OSError as second:
            raise _unreachable(web, second, timeout, hint) from second


def fetch(address: str, timeout: float = 30.0) -> bytes:
    """Return the bytes at an address: a path, ``http(s)://`` or an object store's.

    Raises
    ------
    SourceUnreachableError
        As `check_reachable` does.
    """
    hint = "Check the address, or download the file by hand and open that."
    if address.startswith(("http://", "https://")):
        try:
            with _open(address, timeout, "GET") as answer:
                return bytes(answer.read())
        except OSError as error:
            raise _unreachable(address, error, timeout, hint) from error
    try:
        if "://" not in address:
            return Path(address).read_bytes()
        import fsspec

        with fsspec.open(address, "rb") as file:
            return bytes(file.read())
    except (OSError, ImportError, ValueError) as error:
        raise _unreachable(address, error, timeout, hint) from error


def _ask(web: str, timeout: float, method: str) -> None:
    with _open(web, timeout, method, {"Range": "bytes=0-0"} if method == "GET" else {}):
        pass


def _open(web: str, timeout: float, method: str, headers: Mapping[str, str] = MappingProxyType({})) -> Any:
    from urllib.request import Request, urlopen

    return urlopen(Request(web, headers={**_AGENT, **headers}, method=method), timeout=timeout)  # noqa: S310 - http(s)


def _check_file(address: str, hint: str) -> None:
    path = Path(address.removeprefix("file://"))
    if not path.exists():
        raise SourceUnreachableError(f"{address} cannot be reached: there is no such file", hint=hint or "Check it.")


def _unreachable(address: str, error: Exception, timeout: float, hint: str) -> SourceUnreachableError:
    reason = getattr(error, "reason", None) or error
    code = getattr(error, "code", None)
    if isinstance(reason, TimeoutError) or "timed out" in str(reason):
        told = f"no answer within {timeout:g} s"
    elif code is not None:
        told = f"the server answers {code} {reason}"
    else:
        told = str(getattr(reason, "strerror", None) or reason or type(error).__name__)
    return SourceUnreachableError(
        f"{address} cannot be reached: {told}",
        hint=hint or "Check the address and the network, and try again.",
    )

"""Schedulers that others started: addresses are checked, and answer in seconds or are refused; with TLS when asked."""

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hven.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client, Security

_PATIENCE = 10.0
"""Seconds that a scheduler which listens has to answer."""

_REFUSED = 2.0
"""Seconds for which an address that refuses is tried again: a scheduler may be starting."""

_TLS = {"tls_ca_file": "ca-file", "tls_client_cert": "client.cert", "tls_client_key": "client.key"}


def client_of(address: str) -> "Client":
    """Return a client of the scheduler at an address.

    Parameters
    ----------
    address
        As ``tcp://host:8786``, or ``tls://host:8786`` with the certificates that Dask's own settings name.

    Raises
    ------
    ClusterError
        If it is no such address, or nothing answers there as a scheduler does.
    """
    from distributed import Client

    host, port = check_address(address)
    security = _security(address) if address.startswith("tls://") else None
    _check_listens(address, host, port)
    _check_answers(address, security)
    try:
        # No default of this process: what a user computes beside a run stays where they put it.
        return Client(address, timeout=_PATIENCE, set_as_default=False, security=security)
    except (OSError, ValueError, TypeError) as error:
        raise _no_answer(address, error) from error


def check_address(address: str) -> tuple[str, int]:
    """Return host and port of the address of a scheduler.

    Raises
    ------
    ClusterError
        If it is none.

    Examples
    --------
    >>> check_address("tcp://10.0.0.7:8786")
    ('10.0.0.7', 8786)
    """
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in {"tcp", "tls"} or not host or not port:
        raise ClusterError(
            f"{address!r} is not the address of a scheduler",
            expected="'tcp://host:8786', or 'tls://host:8786'",
            hint="Correct the address; 'dask scheduler' prints its own.",
        )
    return host, port


def _security(address: str) -> "Security":
    """Return the certificates that Dask's settings name.

    Raises
    ------
    ClusterError
        If they name none, or files that are not there.
    """
    from distributed import Security

    hint = (
        "Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ...__TLS__CLIENT__CERT and ...__TLS__CLIENT__KEY, or pass a client."
    )
    security = Security()
    named = {setting: getattr(security, attribute) for attribute, setting in _TLS.items()}
    missing = [f"distributed.comm.tls.{setting}" for setting, value in named.items() if not value]
    if missing:
        raise ClusterError(
            f"the scheduler wants TLS, and Dask's settings name no certificates: {', '.join(missing)}",
            where=address,
            hint=hint,
        )
    for setting, value in named.items():
        # A certificate may also stand there as text.
        if "\n" not in value and not Path(value).is_file():
            raise ClusterError(
                f"there is no file {value!r}, which distributed.comm.tls.{setting} names", where=address, hint=hint
            )
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:
        raise ClusterError(f"the certificates cannot be used: {error}", where=address, hint=hint) from error
    return security


def _check_listens(address: str, host: str, port: int) -> None:
    until = time.monotonic() + _REFUSED
    while True:
        try:
            socket.create_connection((host, port), timeout=_PATIENCE / 2).close()
        except ConnectionRefusedError as error:
            if time.monotonic() > until:
                raise _no_answer(address, error) from error
            time.sleep(0.2)
        except OSError as error:
            raise _no_answer(address, error) from error
        else:
            return


def _check_answers(address: str, security: "Security | None") -> None:
    """Shake hands as Dask does: whatever else listens there is found out before a client waits for it."""
    from distributed.comm import connect

    told = security.get_connection_args("client") if security is not None else {}

    async def shake() -> None:
        comm = await connect(address, timeout=_PATIENCE / 2, **told)
        comm.abort()

    try:
        # In a thread of its own: notebooks have an event loop in this one.
        with ThreadPoolExecutor(1) as beside:
            beside.submit(asyncio.run, shake()).result()
    except Exception as error:
        raise _no_answer(address, error) from error


def _no_answer(address: str, error: Exception) -> ClusterError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    told = (str(cause).strip().splitlines() or [""])[0] or type(cause).__name__
    return ClusterError(
        f"no scheduler answers: {told}", where=address, hint="Start it, correct the address, or leave --cluster out."
    )

"""Being asked to stop: SIGTERM, as batch systems and service managers send it, ends a run as Ctrl-C does."""

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGINT alike end what is done inside with a `KeyboardInterrupt`, which a run survives.

    The interrupt's only argument is the name of the signal. Nothing changes in threads other than the main one.
    """
    with _handled(signal.SIGTERM, signal.SIGINT):
        yield


@contextmanager
def stoppable_by_default() -> Iterator[None]:
    """Let SIGTERM end what is done inside with a `KeyboardInterrupt`, unless the program handles it in its own way."""
    with _handled(*([signal.SIGTERM] if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else [])):
        yield


def interrupt() -> bool:
    """Interrupt the main thread, as Ctrl-C does: a run that goes on there ends, and can be resumed.

    Where the system lets us it is a real signal, which ends a wait in its middle. In what a script or ``nohup`` put in
    the background Ctrl-C is ignored: there it is SIGTERM, if a run is what handles it. A program that wants to hear of
    neither is left alone.

    Returns
    -------
    bool
        Whether it was done.
    """
    if callable(signal.getsignal(signal.SIGINT)):
        number = signal.SIGINT
    elif signal.getsignal(signal.SIGTERM) is _stop:
        number = signal.SIGTERM
    else:
        return False
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(number)
    return True


@contextmanager
def _handled(*numbers: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {number: signal.signal(number, _stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: Any) -> None:  # noqa: ARG001 - as signals are handled
    raise KeyboardInterrupt(signal.Signals(number).name)

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

    Where the system lets us it is a real signal, which ends a wait in its middle. A program that does not want to hear
    of Ctrl-C is left alone.

    Returns
    -------
    bool
        Whether it was done.
    """
    if not callable(signal.getsignal(signal.SIGINT)):
        return False
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
    return True


@contextmanager
def _handled(*numbers: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:  # noqa: ARG001 - as signals are handled
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

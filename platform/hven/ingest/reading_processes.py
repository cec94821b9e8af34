"""Reading processes: several processes of this Python that read survey files, each one file at a time.

Readers hold the interpreter, so threads of one process read no faster than one thread. A reading process takes the path
of a file on its standard input, and gives its pieces on its standard output, each a pickle with its length before it.
A thread of this process reads the first files, and goes on beside the others; they are started when its pace says that
what is left is worth it (`ReadingPace`).
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from threading import Lock
from typing import IO, TYPE_CHECKING, Any

from hven.errors import HvenError, UnreadableFileError
from hven.ingest.reading import Piece, label, placed, read_pieces
from hven.ingest.survey_file import SurveyFile

if TYPE_CHECKING:
    from hven.ingest.hive_folders import Value
    from hven.ingest.reading_pace import ReadingPace
    from hven.plugins import PluginRegistry, Reader

MOST_PROCESSES = 4
"""How many read at most, this process among them."""

_PATIENCE = 2.0
_LENGTH = 8
_CHILD = "import sys; sys.path[:] = {path!r}; from hven.ingest.reading_processes import serve; serve()"


def process_count(files: int, reader: "Reader | None", options: Mapping[str, Any], registry: "PluginRegistry") -> int:
    """Return how many processes may read files beside this one; 0 when there is nothing for them, or only it can.

    Parameters
    ----------
    files
        How many there are.
    reader, options
        What is to read them. A reader of a script, or one that was registered by hand, is known to this process alone.
    registry
        The plugins of this process.

    Examples
    --------
    >>> from hven.plugins import plugins
    >>> process_count(1, None, {}, plugins())
    0
    """
    count = min(_cpus(), files, MOST_PROCESSES)
    is_possible = bool(sys.executable) and _is_plain(options) and _is_installed(reader, registry)
    return max(count - 1, 0) if is_possible else 0


@contextmanager
def reading_processes(
    count: int,
    reader: "Reader | None",
    options: Mapping[str, Any],
    folders: "Mapping[str, Mapping[str, Value]]",
    registry: "PluginRegistry",
    pace: "ReadingPace | None" = None,
) -> "Iterator[list[ReadingProcess]]":
    """Give processes that read files, and end them at the end.

    Parameters
    ----------
    count
        How many.
    reader, options
        What reads the files.
    folders
        Values that the names of folders carry, by path.
    registry
        The plugins of this process: those that are switched off here are switched off there.
    pace
        Says when to start them; at once when not given.
    """
    told = (None if reader is None else reader.name, dict(options))
    off = ",".join(info.name for info in registry.disabled)
    switches = {"HVEN_DISABLE_PLUGINS": off, "HVEN_ENABLE_PLUGINS": "all"}
    threads = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = {**os.environ, **switches, **threads}
    processes = [ReadingProcess(told, folders, environment, pace) for _ in range(count)]
    try:
        if pace is None:
            for process in processes:
                process.start()
        yield processes
    finally:
        for process in processes:
            process.close()


class ReadingProcess:
    """A process that reads files one after the other; when it ends in the middle of one, another takes its place.

    Parameters
    ----------
    told
        The name of the reader, and its options.
    folders
        Values that the names of folders carry, by path.
    environment
        Of the process.
    pace
        Says when to start it; None for at once.
    """

    def __init__(
        self,
        told: tuple[Any, ...],
        folders: "Mapping[str, Mapping[str, Value]]",
        environment: Mapping[str, str],
        pace: "ReadingPace | None" = None,
    ) -> None:
        self.told, self.folders, self.environment, self.pace = told, folders, environment, pace
        self.child: subprocess.Popen[bytes] | None = None
        self.is_up = self.is_closed = False
        self.lock = Lock()

    def __call__(self, file: SurveyFile) -> Iterator[Piece]:
        """Give the pieces of a file; an error of the file when it, or the process, does not get to its end."""
        self.start()
        if not self.is_ready():
            raise self._ended(file)
        is_whole = False
        try:
            self._send((file.path, *self.told, self.folders.get(file.path or "")))
            while isinstance(said := self._receive(), Piece):
                yield said
            is_whole = True
        except (OSError, EOFError, ValueError) as error:
            raise self._ended(file) from error
        finally:
            if not is_whole:
                self._end()
        if said is not None:
            raise said

    def start(self) -> None:
        """Start the process, unless it runs."""
        with self.lock:
            if self.child is not None or self.is_closed:
                return
            self.is_up = False
            self.child = subprocess.Popen(  # noqa: S603 - this Python
                [sys.executable, "-P", "-c", _CHILD.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(self.environment),
                start_new_session=True,  # what ends this process at a terminal is for this one to hand on
            )

    def is_ready(self) -> bool:
        """Whether the process has come up; waits until it is worth its start, and for it."""
        if self.pace is not None:
            if not self.pace.is_worth_more():
                return False
            self.start()
        if not self.is_up:
            with suppress(OSError, EOFError, ValueError):
                self.is_up = self._receive() == "ready"
        return self.is_up

    def close(self) -> None:
        """End the process for good."""
        self.is_closed = True
        if self.pace is not None:
            self.pace.close()
        self._end()

    def _end(self) -> int:
        """End the process, and return how it ended."""
        with self.lock:
            child, self.child = self.child, None
        if child is None:
            return 0
        child.terminate()
        try:
            status = child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        return status

    def _ended(self, file: SurveyFile) -> HvenError:
        status = self._end()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return UnreadableFileError(
            f"the process that read the file {how}",
            where=label(file.path),
            hint="Ingest the file alone: it may need more memory than there is, or bring its reader down.",
        )

    def _send(self, message: Any) -> None:
        child = self.child
        if child is None or child.stdin is None:
            raise EOFError
        child.stdin.write(_packed(message))
        child.stdin.flush()

    def _receive(self) -> Any:
        child = self.child
        if child is None or child.stdout is None:
            raise EOFError
        return _receive(child.stdout)


def serve() -> None:
    """Read the files that the parent names, until it has no more: the main function of a reading process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a library prints goes to stderr, and nothing that it asks has an answer.
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - for its descriptor
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)

    from hven.plugins import plugins

    registry = plugins()
    try:
        _write(answers, _packed("ready"))
        while True:
            path, reader, options, folders = _receive(orders)
            with closing(read_pieces(path, reader and registry.reader(reader), options, folders)) as pieces:
                _hand_on(answers, pieces, path)
    except (EOFError, OSError, SystemExit):
        os._exit(0)  # the parent has ended, or wants no more


def _hand_on(answers: IO[bytes], pieces: Iterator[Piece], path: str | None) -> None:
    """Write the pieces of a file, and then None, or why it ended early."""
    piece: Piece | None
    while True:
        try:
            piece = next(pieces, None)
            content = _packed(piece)
        except Exception as error:  # noqa: BLE001 - handed on to the one who takes it
            _write(answers, _packed(error if isinstance(error, HvenError) else placed(error, path)))
            return
        _write(answers, content)
        if piece is None:
            return


def _write(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(content)
    pipe.flush()


def _packed(message: Any) -> bytes:
    content = pickle.dumps(message, protocol=5)
    return len(content).to_bytes(_LENGTH, "little") + content


def _receive(pipe: IO[bytes]) -> Any:
    size = int.from_bytes(_exactly(pipe, _LENGTH), "little")
    return pickle.loads(_exactly(pipe, size))  # noqa: S301 - written by the process that this one started


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_plain(options: Mapping[str, Any]) -> bool:
    try:
        json.dumps(dict(options))
    except (TypeError, ValueError):
        return False
    return True


def _is_installed(reader: "Reader | None", registry: "PluginRegistry") -> bool:
    """Whether another process finds the same reader: all readers are of installed plugins, and this is one of them."""
    by_hand = [info for info in registry.loaded if not info.distribution and "readers" in info.brings]
    return not by_hand and (reader is None or registry.readers.get(reader.name) is reader)

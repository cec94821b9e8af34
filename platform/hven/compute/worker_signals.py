"""What a worker process does first: it leaves Ctrl-C to the process that started it.

A terminal sends the interrupt to every process in it. The run ends its workers itself; a worker that heard it too would
print pages of its own. In any other process an import of this module changes nothing.
"""

import multiprocessing
import signal

if multiprocessing.parent_process() is not None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

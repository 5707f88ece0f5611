"""Injects a fault when a stage is about to rename a file; Python loads this if PYTHONPATH has its folder.

FAULT is the fault (kill, term, int, full), and FAULT_AT the number of the file, counted from 1. Processes
other than stages, such as DVC, are not affected.
"""

import errno
import os
import signal
import sys
from pathlib import Path

SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
remaining = int(os.environ.get("FAULT_AT", "0"))
replace, rename = Path.replace, Path.rename


def inject(path, target):
    """Inject the fault if this is the file."""
    global remaining
    if ".writing-" in str(path) and Path(sys.argv[0]).parent.name == "stages":
        remaining -= 1
        if remaining == 0 and os.environ["FAULT"] == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        if remaining == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
            os.kill(os.getpid(), SIGNALS[os.environ["FAULT"]])


def faulty(method):
    """Wrap a method of Path."""

    def wrapper(self, target):
        inject(self, target)
        return method(self, target)

    return wrapper


if "FAULT" in os.environ:
    Path.replace, Path.rename = faulty(replace), faulty(rename)

"""Signal handling: interrupts are deferred during operations that must not stop half-way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_waiting: list[int] = []
_depth = 0


def install_handlers() -> None:
    """Raise KeyboardInterrupt on each signal in SIGNALS, except those already ignored, as under nohup."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def _handle(number: int, frame: object) -> None:
    if _depth:
        _waiting.append(number)
    else:
        raise KeyboardInterrupt


@contextmanager
def blocked_in_children() -> Iterator[None]:
    """Block SIGINT for child processes started in this context, and defer it in this process.

    A terminal sends Ctrl-C to all its processes. Children inherit the blocked signal. A half-started cluster
    could neither run nor be closed.
    """
    resource_tracker.ensure_running()  # otherwise its start, below, would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with deferred():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer interrupts until the context ends.

    DVC writes its records in place. A truncated record would break DVC's own cleanup, and that error would
    hide the interrupt.
    """
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
    if _waiting and not _depth:
        _waiting.clear()
        raise KeyboardInterrupt

"""Interrupts that wait while something is done that must not stop half-way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_waiting: list[int] = []
_depth = 0


def hear() -> None:
    """End by KeyboardInterrupt on each of the signals, but for those that are ignored, as under nohup."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def _handle(number: int, frame: object) -> None:
    if _depth:
        _waiting.append(number)
    else:
        raise KeyboardInterrupt


@contextmanager
def not_heard_by_children() -> Iterator[None]:
    """Start processes that never hear Ctrl-C, which a terminal sends to all; here it waits until they have.

    They inherit the mask of signals; a half-started cluster could neither run nor be closed.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with deferred():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def deferred() -> Iterator[None]:
    """Let an interrupt wait until this has ended: DVC writes its records in place.

    Cut off, they could not be read even by DVC's own cleaning up, whose error would hide the interrupt.
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

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

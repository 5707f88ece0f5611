"""An interrupt waits while DVC writes, and is not lost."""

import os
import signal

import pytest

from ifmmin.parallel import interrupts


@pytest.fixture(autouse=True)
def restored():
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    for number in interrupts.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    yield
    interrupts._waiting.clear()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_is_an_interrupt(number):
    interrupts.hear()

    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_it_waits_until_all_that_must_not_stop_has_ended(number):
    interrupts.hear()
    done = []

    def nested():
        with interrupts.deferred():
            with interrupts.deferred():
                os.kill(os.getpid(), number)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        nested()

    assert done == ["inner", "outer"]
    with interrupts.deferred():
        done.append("it comes once")


def test_an_error_comes_before_the_interrupt_that_waits():
    """The interrupt is not lost: it comes with the next thing that must not stop."""
    interrupts.hear()

    def failing():
        with interrupts.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        failing()

    with pytest.raises(KeyboardInterrupt), interrupts.deferred():
        pass


def test_what_is_ignored_stays_ignored():
    """As SIGHUP is under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    interrupts.hear()

    os.kill(os.getpid(), signal.SIGHUP)

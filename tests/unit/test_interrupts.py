"""An interrupt waits while DVC writes and is not lost."""

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
def test_a_signal_raises_keyboard_interrupt(number):
    interrupts.install_handlers()

    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_an_interrupt_waits_until_all_deferred_blocks_have_ended(number):
    interrupts.install_handlers()
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
        pass  # a second interrupt would be raised here


def test_an_error_is_raised_before_a_waiting_interrupt():
    """The next deferred block raises the interrupt."""
    interrupts.install_handlers()

    def failing():
        with interrupts.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        failing()

    with pytest.raises(KeyboardInterrupt), interrupts.deferred():
        pass


def test_an_ignored_signal_stays_ignored():
    """Like SIGHUP under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    interrupts.install_handlers()

    os.kill(os.getpid(), signal.SIGHUP)

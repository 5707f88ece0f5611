"""Device and precision from the environment."""

import os

import pytest
import torch

from conftest import needs_bf16
from ifmmin.core.errors import UserError
from ifmmin.deploy import inference
from ifmmin.training import devices


def test_the_device_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")

    assert devices.device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu9", "cuda:77", "abacus"])
def test_an_unavailable_device_gives_a_one_line_error(monkeypatch, name):
    monkeypatch.setenv("IFMMIN_DEVICE", name)

    with pytest.raises(UserError, match=f"IFMMIN_DEVICE is '{name}'") as caught:
        devices.device()
    assert len(str(caught.value).splitlines()) == 1


def test_precision_is_float32_unless_the_environment_sets_it(monkeypatch):
    monkeypatch.delenv("IFMMIN_PRECISION", raising=False)
    assert devices.precision() == "float32"

    monkeypatch.setenv("IFMMIN_PRECISION", "bf16")
    assert devices.precision() == "bf16"


def test_an_unknown_precision_is_refused(monkeypatch):
    monkeypatch.setenv("IFMMIN_PRECISION", "float8")

    with pytest.raises(UserError, match="IFMMIN_PRECISION is 'float8'; expected one of float32, tf32, bf16"):
        devices.precision()


@pytest.fixture
def restored():
    threads = torch.get_num_threads()
    before = [(backend, backend.allow_tf32) for backend in BACKENDS]
    yield
    torch.set_num_threads(threads)
    for backend, value in before:
        backend.allow_tf32 = value


BACKENDS = (torch.backends.cuda.matmul, torch.backends.cudnn)


@needs_bf16
@pytest.mark.usefixtures("restored")
def test_settle_sets_and_returns_device_precision_and_threads(monkeypatch):
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    monkeypatch.setenv("IFMMIN_PRECISION", "bf16")

    device, run = devices.configure(1)

    assert device == torch.device("cpu")
    assert run == {"device": "cpu", "precision": "bf16", "threads": 1}
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", devices.PRECISIONS)
def test_a_gpu_uses_tf32_only_on_request(monkeypatch, name):
    """By default, cuDNN uses it for LSTMs. The settings can be checked without a GPU."""
    monkeypatch.setenv("IFMMIN_PRECISION", name)
    monkeypatch.setattr(devices, "device", lambda: torch.device("cuda"))

    devices.configure(1)

    assert {backend.allow_tf32 for backend in BACKENDS} == {name == "tf32"}


def test_tf32_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    monkeypatch.setenv("IFMMIN_PRECISION", "tf32")

    with pytest.raises(UserError, match=r"IFMMIN_PRECISION is 'tf32'.*the device is cpu"):
        devices.configure(1)


@pytest.mark.usefixtures("restored")
def test_bf16_on_a_processor_without_it_is_refused(monkeypatch):
    """On such a processor, oneDNN fails in the first LSTM."""
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    monkeypatch.setenv("IFMMIN_PRECISION", "bf16")

    def refuse(*_):
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(torch.nn.LSTM, "forward", refuse)

    with pytest.raises(UserError, match="IFMMIN_PRECISION is 'bf16', for which this processor"):
        devices.configure(1)


def test_batches_at_once_come_from_the_environment_or_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    assert inference.batches_at_once() == len(os.sched_getaffinity(0))

    for value in ("3", "3,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert inference.batches_at_once() == 3

    monkeypatch.setattr(inference, "device", lambda: torch.device("cuda"))
    assert inference.batches_at_once() == 1


@pytest.mark.parametrize("value", ["0", "-1", "many", "²", "1.5"])
def test_an_invalid_number_of_threads_is_refused(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)

    with pytest.raises(UserError, match=f"OMP_NUM_THREADS is '{value}'; expected a positive integer"):
        inference.batches_at_once()

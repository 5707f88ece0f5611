"""Device and precision from the environment."""

import os

import pytest
import torch

from conftest import needs_bf16
from ifmmin.core.errors import UserError
from ifmmin.deploy import inference
from ifmmin.training import devices


def test_the_device_is_that_of_the_environment(monkeypatch):
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")

    assert devices.device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu9", "cuda:77", "abacus"])
def test_a_device_that_is_not_there_is_named(monkeypatch, name):
    monkeypatch.setenv("IFMMIN_DEVICE", name)

    with pytest.raises(UserError, match=f"IFMMIN_DEVICE is '{name}'") as caught:
        devices.device()
    assert len(str(caught.value).splitlines()) == 1


def test_precision_is_float32_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("IFMMIN_PRECISION", raising=False)
    assert devices.precision() == "float32"

    monkeypatch.setenv("IFMMIN_PRECISION", "bf16")
    assert devices.precision() == "bf16"


def test_an_unknown_precision_is_named(monkeypatch):
    monkeypatch.setenv("IFMMIN_PRECISION", "float8")

    with pytest.raises(UserError, match="IFMMIN_PRECISION is 'float8'; expected one of float32, tf32, bf16"):
        devices.precision()


@pytest.fixture
def restored():
    threads = torch.get_num_threads()
    before = [(of, of.allow_tf32) for of in PRODUCTS]
    yield
    torch.set_num_threads(threads)
    for of, value in before:
        of.allow_tf32 = value


PRODUCTS = (torch.backends.cuda.matmul, torch.backends.cudnn)


@needs_bf16
@pytest.mark.usefixtures("restored")
def test_what_is_settled_is_what_a_result_says_of_its_run(monkeypatch):
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    monkeypatch.setenv("IFMMIN_PRECISION", "bf16")

    device, run = devices.settle(1)

    assert device == torch.device("cpu")
    assert run == {"device": "cpu", "precision": "bf16", "threads": 1}
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", devices.PRECISIONS)
def test_a_gpu_rounds_products_to_tf32_only_where_it_is_told_to(monkeypatch, name):
    """By default cuDNN would, for an LSTM. No GPU is needed to see what one would be told."""
    monkeypatch.setenv("IFMMIN_PRECISION", name)
    monkeypatch.setattr(devices, "device", lambda: torch.device("cuda"))

    devices.settle(1)

    assert {of.allow_tf32 for of in PRODUCTS} == {name == "tf32"}


def test_tf32_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    monkeypatch.setenv("IFMMIN_PRECISION", "tf32")

    with pytest.raises(UserError, match=r"IFMMIN_PRECISION is 'tf32'.*the device is cpu"):
        devices.settle(1)


@pytest.mark.usefixtures("restored")
def test_bf16_on_a_processor_without_it_is_refused(monkeypatch):
    """What oneDNN says there is an error of the first LSTM."""
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    monkeypatch.setenv("IFMMIN_PRECISION", "bf16")

    def refuse(*_):
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(torch.nn.LSTM, "forward", refuse)

    with pytest.raises(UserError, match="IFMMIN_PRECISION is 'bf16', for which this processor"):
        devices.settle(1)


def test_as_many_batches_are_answered_as_the_environment_says_else_as_there_are_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    assert inference.batches_at_once() == len(os.sched_getaffinity(0))

    for stated in ("3", "3,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", stated)
        assert inference.batches_at_once() == 3

    monkeypatch.setattr(inference, "device", lambda: torch.device("cuda"))
    assert inference.batches_at_once() == 1


@pytest.mark.parametrize("stated", ["0", "-1", "many", "²", "1.5"])
def test_what_is_no_number_of_threads_is_named(monkeypatch, stated):
    monkeypatch.setenv("OMP_NUM_THREADS", stated)

    with pytest.raises(UserError, match=f"OMP_NUM_THREADS is '{stated}'; expected an integer from 1"):
        inference.batches_at_once()

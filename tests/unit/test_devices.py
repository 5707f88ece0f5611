"""Device and precision from the environment."""

import pytest
import torch

from ifmmin.errors import UserError
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

    with pytest.raises(UserError, match="IFMMIN_PRECISION is 'float8'; expected one of float32, bf16"):
        devices.precision()

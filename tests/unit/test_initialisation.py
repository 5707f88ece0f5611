"""Initial weights: Kaiming normal for linear and convolution, PyTorch's default for LSTMs."""

import pytest
import torch
from torch import nn

from ifmmin.nn.initialisation import initialise


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.ModuleDict(
        {"linear": nn.Linear(400, 300), "convolution": nn.Conv1d(50, 200, 4), "lstm": nn.LSTM(40, 64)}
    )


@pytest.mark.parametrize(("name", "fan_in"), [("linear", 400), ("convolution", 50 * 4)])
def test_weights_have_mean_0_and_std_root_2_over_fan_in(net, name, fan_in):
    """Tolerance: five standard errors, std / sqrt(2 n) for the std and std / sqrt(n) for the mean."""
    initialise(net)

    weight, n = net[name].weight, net[name].weight.numel()
    std = (2 / fan_in) ** 0.5
    assert weight.std().item() == pytest.approx(std, rel=5 / (2 * n) ** 0.5)
    assert abs(weight.mean().item()) < 5 * std / n**0.5


@pytest.mark.parametrize("name", ["linear", "convolution"])
def test_weights_are_normal_not_uniform(net, name):
    """A normal distribution has 4.55 % beyond two std, a uniform distribution has none."""
    initialise(net)

    weight = net[name].weight
    beyond = (weight.abs() > 2 * weight.std()).float().mean().item()
    assert beyond == pytest.approx(0.0455, abs=0.01)


@pytest.mark.parametrize("name", ["linear", "convolution"])
def test_biases_are_zero(net, name):
    initialise(net)

    assert not net[name].bias.any()


def test_lstms_keep_the_initial_weights_of_pytorch(net):
    before = {key: value.clone() for key, value in net["lstm"].state_dict().items()}

    initialise(net)

    assert all(torch.equal(net["lstm"].state_dict()[key], value) for key, value in before.items())


def test_weights_depend_only_on_the_global_generator(net):
    torch.manual_seed(5)
    initialise(net)
    first = net["linear"].weight.clone()
    torch.manual_seed(5)

    initialise(net)

    assert torch.equal(net["linear"].weight, first)

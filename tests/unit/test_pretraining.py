"""Invariant pretraining."""

import pytest
import torch

from conftest import ENCODERS
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.losses import cmd_loss
from ifmmin.nn.protocol import Batch
from ifmmin.pretraining import invariant


@pytest.fixture
def new_network():
    def build(**changes):
        torch.manual_seed(0)
        values = {"classifier": [7], "dropout": 0.5, "cmd_weight": 0.5, "cmd_warmup": 0, "K": 5}
        return invariant.build(n_classes=4, **ENCODERS, **{**values, **changes})

    return build


def batch(x, n, *, epoch=1, available=None):
    mask = torch.ones(n, 3, dtype=torch.bool) if available is None else available
    return Batch(x, mask, torch.arange(n) % 4, {}, epoch)


@pytest.mark.parametrize(
    ("warmup", "epoch", "fraction"),
    [(0, 1, 1.0), (1, 1, 1.0), (4, 1, 0.25), (4, 3, 0.75), (4, 4, 1.0), (4, 9, 1.0)],
)
def test_the_weight_of_cmd_grows_linearly_and_then_stays_constant(
    new_network, draw_x, warmup, epoch, fraction
):
    network = new_network(cmd_warmup=warmup).eval()

    losses = {name: x.item() for name, x in network.training_losses(batch(draw_x(8), 8, epoch=epoch)).items()}

    assert losses["L"] == pytest.approx(losses["L_cls"] + 0.5 * fraction * losses["L_cmd"], rel=1e-6)


def test_l_cmd_compares_the_invariant_features(new_network, draw_x):
    network, x = new_network(K=3).eval(), draw_x(8)

    losses = network.training_losses(batch(x, 8))

    expected = cmd_loss(network.encoders.invariant(network.encoders.encode(x)), 3)
    assert torch.equal(losses["L_cmd"], expected)


def test_pretraining_ignores_the_masks(new_network, draw_x):
    network, x = new_network().eval(), draw_x(8)

    masked = network.training_losses(batch(x, 8, available=torch.zeros(8, 3, dtype=torch.bool)))

    full = network.training_losses(batch(x, 8))
    assert all(torch.equal(masked[name], full[name]) for name in full)


def test_pretraining_needs_two_utterances_and_uses_only_the_full_input(new_network):
    network = new_network()

    assert network.smallest_batch == 2
    assert {name: group.conditions for name, group in network.checkpoint_groups().items()} == {"": ("avt",)}


def test_the_settings_of_the_encoders_rebuild_them(new_network):
    network = new_network()

    rebuilt = Encoders(**network.encoders.settings)
    rebuilt.load_state_dict(network.encoders.state_dict())

    assert rebuilt.state_dict().keys() == network.encoders.state_dict().keys()


def test_every_parameter_is_in_exactly_one_sub_network(new_network):
    network = new_network()

    clipped = [id(p) for sub_network in network.networks().values() for p in sub_network.parameters()]

    assert sorted(clipped) == sorted(id(p) for p in network.parameters())

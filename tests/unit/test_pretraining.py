"""Invariant pretraining."""

import pytest
import torch

from conftest import ENCODERS
from ifmmin.core.errors import UserError
from ifmmin.nn import invariant_pretraining as invariant
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.losses import cmd_loss
from ifmmin.nn.protocol import Batch, Validation
from ifmmin.pretraining import no_cmd


@pytest.fixture
def new_network():
    def build(**changes):
        torch.manual_seed(0)
        values = {"classifier": [7], "dropout": 0.5, "cmd_weight": 0.5, "cmd_warmup": 0, "K": 5}
        values |= {"cmd_form": "plain", "cmd_memory": 0, "smallest_batch": 2}
        return invariant.build(n_classes=4, **{**ENCODERS, **values, **changes})

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


def test_pretraining_uses_only_the_full_input(new_network):
    network = new_network(smallest_batch=16)

    assert network.smallest_batch == 16
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


@pytest.mark.parametrize("form", ["plain", "zellinger", "scale_free"])
def test_l_cmd_has_the_chosen_form(new_network, draw_x, form):
    """Enc' has a tanh, whose bounds are 2 apart."""
    network, x = new_network(cmd_form=form, invariance_activation="tanh").eval(), draw_x(8)

    losses = network.training_losses(batch(x, 8))

    H_m = network.encoders.invariant(network.encoders.encode(x))
    assert torch.equal(losses["L_cmd"], cmd_loss(H_m, 5, form, 2.0))


def test_the_form_of_zellinger_needs_a_bounded_activation(new_network):
    with pytest.raises(
        UserError, match="leaky_relu has none; expected invariance_activation tanh or sigmoid"
    ):
        new_network(cmd_form="zellinger", invariance_activation="leaky_relu")


def test_earlier_batches_are_further_samples_without_gradient(new_network, draw_x):
    network = new_network(cmd_memory=1).eval()
    first, second, third = (batch(draw_x(8, seed), 8) for seed in range(3))

    def H_m(x):
        return network.encoders.invariant(network.encoders.encode(x))

    for previous, current in ((None, first), (first, second), (second, third)):
        L_cmd = network.training_losses(current)["L_cmd"]
        samples = H_m(current.x)
        if previous:
            past = H_m(previous.x)
            samples = {m: torch.cat([x, past[m].detach()]) for m, x in samples.items()}
        assert torch.equal(L_cmd, cmd_loss(samples, 5))


def test_the_memory_is_empty_at_the_start_of_an_epoch(new_network, draw_x):
    """Otherwise a training that is cut off and resumed would differ."""
    network, x = new_network(cmd_memory=3).eval(), draw_x(8)
    network.training_losses(batch(draw_x(8, 1), 8, epoch=1))

    later = network.training_losses(batch(x, 8, epoch=2))["L_cmd"]

    assert torch.equal(later, new_network(cmd_memory=3).eval().training_losses(batch(x, 8))["L_cmd"])


def test_pretraining_measures_l_cmd_in_both_forms_and_the_invariance(new_network, draw_x):
    network, x = new_network().eval(), draw_x(12)
    encoded = network.encode(x)

    measured = network.diagnose(Validation(encoded, {}, {}))

    _, H_m = network.features(encoded)
    assert measured["validation_L_cmd_plain"] == pytest.approx(cmd_loss(H_m, 5).item())
    assert measured["validation_L_cmd_scale_free"] == pytest.approx(cmd_loss(H_m, 5, "scale_free").item())
    assert {"validation_probe", "validation_rank_at"} < set(measured)


def test_the_control_has_the_same_initial_weights_and_no_l_cmd(new_network, draw_x):
    torch.manual_seed(0)
    settings = {"classifier": [7], "dropout": 0.5, "smallest_batch": 2, "K": 5}
    control, x = no_cmd.build(n_classes=4, **ENCODERS, **settings).eval(), draw_x(8)

    losses = control.training_losses(batch(x, 8))

    expected = new_network().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in control.state_dict().items())
    assert torch.equal(losses["L"], losses["L_cls"])

"""Late fusion: the floor, the ceiling, and pretraining on full modalities."""

import numpy as np
import pytest
import torch

from conftest import ENCODERS, SIZES
from ifmmin.core.terms import CONDITIONS, availability
from ifmmin.nn.protocol import Batch
from ifmmin.nn.sequences import Sequences, from_padded
from ifmmin.pretraining import fusion as pretraining
from ifmmin.systems import late_fusion_floor, late_fusion_per_condition

FUSION = {
    **{name: x for name, x in ENCODERS.items() if "invariance" not in name},
    "n_classes": 4,
    "classifier": [7],
    "dropout": 0.5,
}
each_condition = pytest.mark.parametrize("condition", CONDITIONS)


@pytest.fixture
def floor():
    torch.manual_seed(0)
    return late_fusion_floor.build(**FUSION)


@pytest.fixture
def ceiling():
    torch.manual_seed(0)
    return late_fusion_per_condition.build(**FUSION)


def batch(x, n, available=None):
    mask = torch.ones(n, 3, dtype=torch.bool) if available is None else available
    return Batch(x, mask, torch.arange(n) % 4, {}, 1)


def logits(system, x, condition):
    with torch.no_grad():
        return system.predict(system.encode(x), [condition])[condition].O


def spoiled(x, condition, how):
    """Whatever a condition misses: no frame of it a number, or its sequences of another length."""
    steps = {m: int(x[m].lengths.min()) if how == "short" else len(x[m].frames) for m in x}
    spoil = {
        "nan": lambda m: Sequences(torch.full_like(x[m].frames, torch.nan), *x[m][1:]),
        "short": lambda m: x[m]._replace(lengths=torch.full_like(x[m].lengths, steps[m])),
        "long": lambda m: Sequences(
            x[m].frames, torch.zeros_like(x[m].start), torch.full_like(x[m].lengths, steps[m])
        ),
    }[how]
    return {m: x[m] if m in condition else spoil(m) for m in x}


each_spoiling = pytest.mark.parametrize("how", ["nan", "short", "long"])


# The floor.


def cross_entropy(features, classifier, y):
    """Of linear maps with ReLU between, in float64."""
    w = {name: p.detach().numpy().astype(np.float64) for name, p in classifier.named_parameters()}
    u = np.maximum(features @ w["hidden.0.weight"].T + w["hidden.0.bias"], 0)
    O = u @ w["out.weight"].T + w["out.bias"]
    return np.mean(np.log(np.exp(O).sum(1)) - O[np.arange(len(O)), y])


def test_the_floor_s_loss_is_the_cross_entropy_of_the_full_input(floor, draw_x):
    """The features of a, v and t side by side, each from its own encoder; float32 against float64."""
    x = draw_x(8)

    losses = floor.eval().training_losses(batch(x, 8))

    parts = [floor.encoders.specificity[m] for m in "avt"]
    h = np.concatenate(
        [part.head(part.pool(x[m])).detach().numpy() for part, m in zip(parts, "avt", strict=True)], 1
    )
    expected = cross_entropy(h.astype(np.float64), floor.classifier, np.arange(8) % 4)
    assert losses.keys() == {"L", "L_cls"}
    assert losses["L"].item() == pytest.approx(expected, rel=1e-5)
    assert losses["L_cls"].item() == losses["L"].item()


def test_the_floor_trains_on_the_full_input_whatever_mask_was_drawn(floor, draw_x):
    x, masks = draw_x(6), torch.tensor([availability(c) for c in CONDITIONS])

    masked = floor.eval().training_losses(batch(x, 6, masks))["L"]

    assert torch.equal(masked, floor.training_losses(batch(x, 6))["L"])


def test_the_floor_s_epoch_is_picked_by_the_full_input(floor):
    [part] = floor.checkpoint_groups().values()

    assert part.conditions == ("avt",)
    assert part.weights.keys() == floor.state_dict().keys()


def silent(x, condition):
    """What a condition misses as zeros of the set lengths, in the place of what was said."""
    n = len(x["a"].lengths)
    zeros = {m: from_padded(torch.zeros(n, ENCODERS["missing_steps"][m], SIZES[m])) for m in "avt"}
    return {m: x[m] if m in condition else zeros[m] for m in "avt"}


@each_condition
def test_a_gap_at_test_is_for_the_floor_as_silence_of_the_set_length(floor, draw_x, condition):
    """As if the full input had zeros there; sums of other shapes round elsewhere: 1e-6."""
    x = draw_x(9)
    floor.eval()

    got = logits(floor, x, condition)

    torch.testing.assert_close(got, logits(floor, silent(x, condition), "avt"), rtol=0, atol=1e-6)
    assert (got - logits(floor, x, "avt")).abs().max() > 1e-3


@each_spoiling
@each_condition
def test_nothing_of_a_missing_modality_changes_a_bit_of_the_floor_s_prediction(floor, draw_x, condition, how):
    x = draw_x(9)
    floor.eval()

    got = logits(floor, spoiled(x, condition, how), condition)

    assert torch.equal(got, logits(floor, x, condition))
    assert got.isfinite().all()


def test_the_floor_predicts_the_full_input_too_and_has_no_invariant_features(floor, draw_x):
    with torch.no_grad():
        predicted = floor.eval().predict(floor.encode(draw_x(3)), (*CONDITIONS, "avt"))

    assert tuple(predicted) == (*CONDITIONS, "avt")
    assert all(p.H_prime is None for p in predicted.values())


def test_every_parameter_of_the_floor_is_in_one_sub_network(floor):
    clipped = [id(p) for network in floor.networks().values() for p in network.parameters()]

    assert sorted(clipped) == sorted(id(p) for p in floor.parameters())
    assert list(floor.networks()) == ["enc_a", "enc_v", "enc_t", "classifier"]


# The ceiling.


@each_condition
def test_the_ceiling_s_network_of_a_condition_has_encoders_of_its_modalities_only(ceiling, condition):
    network = ceiling.members[condition]

    assert list(network.encoders.specificity) == list(condition)
    assert network.classifier.hidden[0].in_features == 6 * len(condition)
    assert network.checkpoint_groups()[""].conditions == (condition,)


@each_condition
def test_the_ceiling_s_network_of_a_condition_trains_on_its_modalities_only(ceiling, draw_x, condition):
    """It asks for no other: they are not even there."""
    x, network = draw_x(8), ceiling.members[condition].eval()

    losses = network.training_losses(batch({m: x[m] for m in condition}, 8))

    parts = [network.encoders.specificity[m] for m in condition]
    h = np.concatenate(
        [part.head(part.pool(x[m])).detach().numpy() for part, m in zip(parts, condition, strict=True)], 1
    )
    expected = cross_entropy(h.astype(np.float64), network.classifier, np.arange(8) % 4)
    assert losses["L"].item() == pytest.approx(expected, rel=1e-5)


@each_spoiling
@each_condition
def test_nothing_of_a_missing_modality_changes_a_bit_of_the_ceiling_s_prediction(
    ceiling, draw_x, condition, how
):
    x = draw_x(9)
    ceiling.eval()

    got = logits(ceiling, spoiled(x, condition, how), condition)

    assert torch.equal(got, logits(ceiling, x, condition))
    assert got.isfinite().all()


@each_condition
def test_each_modality_of_a_condition_reaches_the_ceiling_s_prediction(ceiling, draw_x, condition):
    x, other = draw_x(9), draw_x(9, seed=1)
    ceiling.eval()

    for m in condition:
        assert not torch.equal(logits(ceiling, {**x, m: other[m]}, condition), logits(ceiling, x, condition))


# Pretraining on full modalities.


def test_pretraining_on_full_modalities_is_the_floor(draw_x):
    """The same network from the same draws; what is kept of it are its encoders, without Enc'."""
    x, networks = draw_x(8), []
    for build in (pretraining.build, late_fusion_floor.build):
        torch.manual_seed(0)
        networks.append(build(**FUSION).eval())
    network, floor = networks

    assert torch.equal(network.training_losses(batch(x, 8))["L"], floor.training_losses(batch(x, 8))["L"])
    assert network.encoders.invariance is None
    assert network.encoders.settings["invariance_depth"] == 0

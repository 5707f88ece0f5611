"""Late fusion: the floor, one network per condition, and pretraining on full modalities."""

import numpy as np
import pytest
import torch

from conftest import ENCODERS, SIZES
from ifmmin.core.terms import CONDITIONS, availability
from ifmmin.nn.protocol import Batch
from ifmmin.nn.sequences import Sequences, from_padded
from ifmmin.pretraining import fusion as pretraining
from ifmmin.systems import late_fusion_dropout, late_fusion_floor, late_fusion_per_condition

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
def per_condition():
    torch.manual_seed(0)
    return late_fusion_per_condition.build(**FUSION)


def batch(x, n, available=None):
    mask = torch.ones(n, 3, dtype=torch.bool) if available is None else available
    return Batch(x, mask, torch.arange(n) % 4, {}, 1)


def logits(system, x, condition):
    with torch.no_grad():
        return system.predict(system.encode(x), [condition])[condition].O


def corrupted(x, condition, corruption):
    """Replace the frames of missing modalities by NaN, or change the lengths of their sequences."""
    steps = {m: int(x[m].lengths.min()) if corruption == "short" else len(x[m].frames) for m in x}
    corrupt = {
        "nan": lambda m: Sequences(torch.full_like(x[m].frames, torch.nan), *x[m][1:]),
        "short": lambda m: x[m]._replace(lengths=torch.full_like(x[m].lengths, steps[m])),
        "long": lambda m: Sequences(
            x[m].frames, torch.zeros_like(x[m].start), torch.full_like(x[m].lengths, steps[m])
        ),
    }[corruption]
    return {m: x[m] if m in condition else corrupt(m) for m in x}


each_corruption = pytest.mark.parametrize("corruption", ["nan", "short", "long"])


# The floor.


def cross_entropy(features, classifier, y):
    """Cross entropy of linear layers with ReLU between them, in float64."""
    w = {name: p.detach().numpy().astype(np.float64) for name, p in classifier.named_parameters()}
    u = np.maximum(features @ w["hidden.0.weight"].T + w["hidden.0.bias"], 0)
    O = u @ w["out.weight"].T + w["out.bias"]
    return np.mean(np.log(np.exp(O).sum(1)) - O[np.arange(len(O)), y])


def test_the_floor_s_loss_is_the_cross_entropy_of_the_full_input(floor, draw_x):
    """Concatenated features of a, v and t, each from its own encoder; float32 against float64."""
    x = draw_x(8)

    losses = floor.eval().training_losses(batch(x, 8))

    encoders = floor.encoders.specificity
    h = np.concatenate([encoders[m].head(encoders[m].pool(x[m])).detach().numpy() for m in "avt"], 1)
    expected = cross_entropy(h.astype(np.float64), floor.classifier, np.arange(8) % 4)
    assert losses.keys() == {"L", "L_cls"}
    assert losses["L"].item() == pytest.approx(expected, rel=1e-5)
    assert losses["L_cls"].item() == losses["L"].item()


def test_the_floor_trains_on_the_full_input_for_any_mask(floor, draw_x):
    x, masks = draw_x(6), torch.tensor([availability(c) for c in CONDITIONS])

    masked = floor.eval().training_losses(batch(x, 6, masks))["L"]

    assert torch.equal(masked, floor.training_losses(batch(x, 6))["L"])


def test_the_full_input_selects_the_floor_s_epoch(floor):
    [group] = floor.checkpoint_groups().values()

    assert group.conditions == ("avt",)
    assert group.weights.keys() == floor.state_dict().keys()


def with_placeholders(x, condition):
    """Replace the missing modalities by zero placeholders."""
    n = len(x["a"].lengths)
    zeros = {m: from_padded(torch.zeros(n, ENCODERS["missing_steps"][m], SIZES[m])) for m in "avt"}
    return {m: x[m] if m in condition else zeros[m] for m in "avt"}


@each_condition
def test_the_floor_reads_a_missing_modality_as_the_zero_placeholder(floor, draw_x, condition):
    """The result is that of zeros in the full input; other shapes round differently: 1e-6."""
    x = draw_x(9)
    floor.eval()

    got = logits(floor, x, condition)

    torch.testing.assert_close(got, logits(floor, with_placeholders(x, condition), "avt"), rtol=0, atol=1e-6)
    assert (got - logits(floor, x, "avt")).abs().max() > 1e-3


@each_corruption
@each_condition
def test_features_of_a_missing_modality_do_not_affect_the_floor(floor, draw_x, condition, corruption):
    x = draw_x(9)
    floor.eval()

    got = logits(floor, corrupted(x, condition, corruption), condition)

    assert torch.equal(got, logits(floor, x, condition))
    assert got.isfinite().all()


def test_the_floor_predicts_all_conditions_without_invariant_features(floor, draw_x):
    with torch.no_grad():
        predicted = floor.eval().predict(floor.encode(draw_x(3)), (*CONDITIONS, "avt"))

    assert tuple(predicted) == (*CONDITIONS, "avt")
    assert all(p.H_prime is None for p in predicted.values())


def test_every_parameter_of_the_floor_is_in_exactly_one_sub_network(floor):
    clipped = [id(p) for network in floor.networks().values() for p in network.parameters()]

    assert sorted(clipped) == sorted(id(p) for p in floor.parameters())
    assert list(floor.networks()) == ["enc_a", "enc_v", "enc_t", "classifier"]


# One network per condition.


@each_condition
def test_a_condition_s_network_has_only_encoders_of_its_modalities(per_condition, condition):
    network = per_condition.members[condition]

    assert list(network.encoders.specificity) == list(condition)
    assert network.classifier.hidden[0].in_features == 6 * len(condition)
    assert network.checkpoint_groups()[""].conditions == (condition,)


@each_condition
def test_a_condition_s_network_trains_only_on_its_modalities(per_condition, draw_x, condition):
    """The batch has no other modalities."""
    x, network = draw_x(8), per_condition.members[condition].eval()

    losses = network.training_losses(batch({m: x[m] for m in condition}, 8))

    encoders = network.encoders.specificity
    h = np.concatenate([encoders[m].head(encoders[m].pool(x[m])).detach().numpy() for m in condition], 1)
    expected = cross_entropy(h.astype(np.float64), network.classifier, np.arange(8) % 4)
    assert losses["L"].item() == pytest.approx(expected, rel=1e-5)


@each_corruption
@each_condition
def test_features_of_a_missing_modality_do_not_affect_the_prediction(
    per_condition, draw_x, condition, corruption
):
    x = draw_x(9)
    per_condition.eval()

    got = logits(per_condition, corrupted(x, condition, corruption), condition)

    assert torch.equal(got, logits(per_condition, x, condition))
    assert got.isfinite().all()


@each_condition
def test_each_modality_of_a_condition_affects_its_prediction(per_condition, draw_x, condition):
    x, other = draw_x(9), draw_x(9, seed=1)
    per_condition.eval()

    for m in condition:
        changed = {**x, m: other[m]}
        assert not torch.equal(logits(per_condition, changed, condition), logits(per_condition, x, condition))


# Pretraining on full modalities.


def test_pretraining_on_full_modalities_trains_the_network_of_the_floor(draw_x):
    """The same seed gives the same loss. The encoders have no Enc'."""
    x, networks = draw_x(8), []
    for build in (pretraining.build, late_fusion_floor.build):
        torch.manual_seed(0)
        networks.append(build(**FUSION).eval())
    network, floor = networks

    assert torch.equal(network.training_losses(batch(x, 8))["L"], floor.training_losses(batch(x, 8))["L"])
    assert network.encoders.invariance is None
    assert network.encoders.settings["invariance_depth"] == 0


# Modality dropout.


@pytest.fixture
def dropout(new_encoders):
    torch.manual_seed(0)
    return late_fusion_dropout.build(
        encoders=new_encoders(invariance_depth=0), n_classes=4, classifier=[7], dropout=0.5
    )


def test_modality_dropout_trains_under_the_drawn_masks(dropout, draw_x):
    """Each utterance is classified as it is predicted in its own condition; other shapes round: 1e-6."""
    x, masks = draw_x(6), torch.tensor([availability(c) for c in CONDITIONS])

    L = dropout.eval().training_losses(batch(x, 6, masks))["L"]

    own = torch.stack([logits(dropout, x, c)[i] for i, c in enumerate(CONDITIONS)])
    expected = torch.nn.functional.cross_entropy(own, torch.arange(6) % 4)
    torch.testing.assert_close(L, expected, rtol=0, atol=1e-6)


def test_all_six_conditions_select_the_epoch_of_modality_dropout(dropout):
    [group] = dropout.checkpoint_groups().values()

    assert group.conditions == CONDITIONS

"""MMIN with and without cycle: losses, gradients, teacher targets and predictions."""

import numpy as np
import pytest
import torch

from ifmmin.core.terms import CONDITIONS, availability
from ifmmin.nn.encoders import concatenated
from ifmmin.nn.imagination import reversed_target
from ifmmin.nn.mmin import imagine
from ifmmin.nn.protocol import Batch
from ifmmin.nn.sequences import Sequences
from ifmmin.systems import mmin, mmin_no_cycle
from ifmmin.training import loop

MASKS = torch.tensor([availability(condition) for condition in CONDITIONS])
"""One row for each condition."""

MMIN = {
    "n_classes": 4,
    "M": 2,
    "autoencoder": [10, 8, 5],
    "distance": "mse",
    "classifier": [7, 6],
    "dropout": 0.5,
    "img_weight": 3.0,
    "cycle_weight": 7.0,
}
LOSSES = ["L", "L_cls", "L_img", "L_cycle"]


@pytest.fixture
def new_mmin(new_encoders):
    """Build MMIN on small encoders without Enc'; None removes a setting."""

    def build(system=mmin, **changes):
        encoders = new_encoders(invariance_depth=0)
        values = {name: x for name, x in {**MMIN, **changes}.items() if x is not None}
        return system.build(encoders=encoders, **values)

    return build


def no_cycle(new_mmin, **changes):
    return new_mmin(mmin_no_cycle, cycle_weight=None, **changes)


def six(x, **targets):
    """Six utterances, one in each condition; teacher targets are random unless given."""
    draw = torch.Generator().manual_seed(3)
    drawn = {name: torch.randn(6, 18, generator=draw) for name in ("h", "h_missing")}
    return Batch(x, MASKS, torch.tensor([0, 1, 2, 3, 0, 1]), {**drawn, **targets}, 1)


# Losses.


def test_the_loss_is_the_weighted_sum_of_its_terms(new_mmin, draw_x):
    losses = new_mmin().eval().training_losses(six(draw_x(6)))

    assert list(losses) == LOSSES
    terms = {name: loss.item() for name, loss in losses.items()}
    expected = terms["L_cls"] + 3 * terms["L_img"] + 7 * terms["L_cycle"]
    assert terms["L"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("form", ["rmse", "mse"])
def test_l_img_compares_h_prime_with_the_reversed_teacher_targets(new_mmin, draw_x, form):
    """Available modality: embedding of the zero placeholder. Missing modality: its features."""
    system, batch = new_mmin(distance=form).eval(), six(draw_x(6))

    L_img = system.training_losses(batch)["L_img"].item()

    h = concatenated(system.encoders.encode(batch.x, MASKS))
    h_prime = imagine(system.imagination, h).h_prime
    squares = [
        ((h_prime[row, k] - batch.targets["h_missing" if MASKS[row, k // 6] else "h"][row, k]) ** 2).item()
        for row in range(6)
        for k in range(18)
    ]
    assert L_img == pytest.approx((np.sqrt if form == "rmse" else float)(np.mean(squares)), rel=1e-5)


@pytest.mark.parametrize("form", ["rmse", "mse"])
def test_l_cycle_compares_the_cycle_output_with_h(new_mmin, draw_x, form):
    """The second cascade reads only h'; h is the student's own, from the masked input."""
    system, batch = new_mmin(distance=form).eval(), six(draw_x(6))

    L_cycle = system.training_losses(batch)["L_cycle"].item()

    h = concatenated(system.encoders.encode(batch.x, MASKS))
    back = imagine(system.cycle, imagine(system.imagination, h).h_prime).h_prime
    square = np.mean((back - h).detach().double().numpy() ** 2)
    assert L_cycle == pytest.approx(np.sqrt(square) if form == "rmse" else square, rel=1e-5)


def test_the_reversed_target_worked_out_by_hand():
    """Two features per modality; the first utterance has v, the second a and t."""
    h = torch.tensor([[1.0, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    available = torch.tensor([[False, True, False], [True, False, True]])

    target = reversed_target(available, h, -h)

    assert target.tolist() == [[1, 2, -3, -4, 5, 6], [-7, -8, 9, 10, -11, -12]]


# Gradients.


def gradients(loss, module):
    """Gradients by parameter name; None where the loss does not depend on the parameter."""
    named = dict(module.named_parameters())
    values = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return dict(zip(named, values, strict=True))


def reached(system, loss):
    """Names of the top-level modules that receive a gradient from a loss."""
    named = gradients(loss, system).items()
    return {name.split(".")[0] for name, gradient in named if gradient is not None and gradient.any()}


def encoders_gradient_by_hand(system, batch, *, through_h):
    """Backpropagate 2 (back - h) / n, the gradient of L_cycle, through both cascades and the encoders.

    With `through_h`, h as the target also contributes -2 (back - h) / n.
    """
    h = concatenated(system.encoders.encode(batch.x, batch.available))
    leaf = h.detach().requires_grad_()
    back = imagine(system.cycle, imagine(system.imagination, leaf).h_prime).h_prime
    outer = 2 * (back - leaf).detach() / back.numel()
    (inner,) = torch.autograd.grad(back, leaf, outer)
    named = dict(system.encoders.named_parameters())
    return dict(
        zip(
            named,
            torch.autograd.grad(h, list(named.values()), inner - outer if through_h else inner),
            strict=True,
        )
    )


def test_l_cycle_trains_the_encoders_only_through_h_prime(new_mmin, draw_x):
    """In float64, where different summation orders agree to 1e-12."""
    system, x = new_mmin().eval().double(), draw_x(6)
    double = {m: Sequences(x[m].frames.double(), *x[m][1:]) for m in x}
    batch = six(double, h=torch.zeros(6, 18).double(), h_missing=torch.zeros(6, 18).double())

    got = gradients(system.training_losses(batch)["L_cycle"], system.encoders)

    expected = encoders_gradient_by_hand(system, batch, through_h=False)
    for name, gradient in got.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12)
    other = encoders_gradient_by_hand(system, batch, through_h=True)
    assert max((got[name] - other[name]).abs().max() for name in got) > 1e-3


def test_l_cycle_trains_everything_but_the_classifier(new_mmin, draw_x):
    """If h' were detached, L_cycle would not train the forward cascade."""
    system = new_mmin().eval()

    losses = system.training_losses(six(draw_x(6)))

    assert reached(system, losses["L_cycle"]) == {"encoders", "imagination", "cycle"}


def test_l_cls_and_l_img_do_not_train_the_cycle(new_mmin, draw_x):
    system = new_mmin().eval()

    losses = system.training_losses(six(draw_x(6)))

    expected = {"encoders", "imagination", "classifier"}
    assert reached(system, losses["L_cls"] + losses["L_img"]) == expected


# Without the cycle.


def test_mmin_without_cycle_has_no_second_cascade(new_mmin):
    system = no_cycle(new_mmin)

    assert system.cycle is None
    assert list(system.networks()) == ["enc_a", "enc_v", "enc_t", "imagination", "classifier"]
    assert not [name for name in system.state_dict() if "cycle" in name]


def test_mmin_without_cycle_has_no_l_cycle(new_mmin, draw_x):
    losses = no_cycle(new_mmin).eval().training_losses(six(draw_x(6)))

    assert list(losses) == LOSSES[:3]
    assert losses["L"].item() == pytest.approx(losses["L_cls"].item() + 3 * losses["L_img"].item(), rel=1e-6)


def test_the_cycle_does_not_change_l_cls_and_l_img(new_mmin, draw_x):
    full, without = new_mmin().eval(), no_cycle(new_mmin).eval()
    without.load_state_dict({k: x for k, x in full.state_dict().items() if not k.startswith("cycle.")})
    batch = six(draw_x(6))

    losses, fewer = full.training_losses(batch), without.training_losses(batch)

    assert torch.equal(losses["L_cls"], fewer["L_cls"])
    assert torch.equal(losses["L_img"], fewer["L_img"])


def test_every_parameter_of_mmin_is_in_exactly_one_sub_network(new_mmin):
    system = new_mmin()

    clipped = [id(p) for network in system.networks().values() for p in network.parameters()]

    assert sorted(clipped) == sorted(id(p) for p in system.parameters())
    assert list(system.networks()) == ["enc_a", "enc_v", "enc_t", "imagination", "classifier", "cycle"]


def test_the_two_cascades_share_no_weights(new_mmin):
    system = new_mmin()

    forward, back = dict(system.imagination.named_parameters()), dict(system.cycle.named_parameters())

    assert forward.keys() == back.keys()
    assert not [name for name, p in forward.items() if p is back[name]]
    assert not torch.equal(forward["omega.0.encoder.0.weight"], back["omega.0.encoder.0.weight"])


# The teacher.


def test_teacher_targets_are_full_input_and_zero_placeholder_features(new_mmin, draw_x):
    system, x = new_mmin().eval(), draw_x(5)

    targets = system.precompute_targets(x)

    h_m, placeholder = system.encoders.encode(x), system.encoders.missing()
    assert targets.keys() == {"h", "h_missing"}
    assert torch.equal(targets["h"], torch.cat([h_m[m] for m in "avt"], 1))
    assert torch.equal(targets["h_missing"], torch.cat([placeholder[m] for m in "avt"], 1).expand(5, -1))


def test_an_available_modality_targets_the_zero_placeholder(new_mmin, draw_x):
    """Only t is available. With h' = 0, L_img is the mean square of the target."""
    system, x = new_mmin().eval(), draw_x(4)
    with torch.no_grad():
        targets = system.precompute_targets(x)
        for parameter in (system.imagination.transition[2].weight, system.imagination.transition[2].bias):
            parameter.zero_()
    mask = torch.tensor([[False, False, True]]).expand(4, 3)

    L_img = system.training_losses(Batch(x, mask, torch.arange(4), targets, 1))["L_img"].item()

    h_m, zeros = system.encoders.encode(x), system.encoders.missing()["t"].detach().numpy()
    target = np.concatenate([h_m["a"].detach(), h_m["v"].detach(), np.repeat(zeros, 4, 0)], 1)
    assert L_img == pytest.approx(np.mean(target.astype(np.float64) ** 2), rel=1e-5)


def test_teacher_targets_stay_fixed_while_the_student_trains(new_mmin, corpus):
    """Every batch of every epoch has the targets computed before the first step."""
    system, batches = new_mmin(), []
    with torch.no_grad():
        before = system.eval().precompute_targets(corpus.x)
    losses = system.training_losses

    def recorded(batch):
        batches.append(batch)
        return losses(batch)

    system.training_losses = recorded
    settings = loop.Settings(2, 1, 12, 0.01, 0.5, 1.0, "warn", 1)
    loop.fit(system, corpus, settings, seed=0, precision="float32", on_epoch=lambda row: None)

    row_of = {start: row for row, start in enumerate(corpus.x["a"].start.tolist())}
    assert len(batches) == 9
    for batch in batches:
        rows = [row_of[start] for start in batch.x["a"].start.tolist()]
        for name, target in batch.targets.items():
            torch.testing.assert_close(target, before[name][rows], rtol=0, atol=1e-6)
            assert not target.requires_grad
    with torch.no_grad():
        after = system.eval().precompute_targets(corpus.x)
    assert all((after[name] - before[name]).abs().max() > 1e-3 for name in ("h", "h_missing"))


# Prediction.


def test_the_classifier_reads_the_codes_of_the_forward_cascade(new_mmin, draw_x):
    """The blocks of h for missing modalities are embeddings of the zero placeholder."""
    system, x = new_mmin().eval(), draw_x(5)
    with torch.no_grad():
        predicted = system.predict(system.encode(x), ("at", "avt"))

        h_m, placeholder = system.encoders.encode(x), system.encoders.missing()
        h = {"avt": torch.cat([h_m["a"], h_m["v"], h_m["t"]], 1)}
        h["at"] = torch.cat([h_m["a"], placeholder["v"].expand(5, -1), h_m["t"]], 1)
        for c, prediction in predicted.items():
            codes = system.imagination(h[c], torch.zeros(5, 18)).C
            assert torch.equal(prediction.O, system.classifier(codes)), c
            assert prediction.H_prime is None
            assert codes.shape == (5, 10)


def test_prediction_does_not_run_the_cycle(new_mmin, draw_x):
    system, x = new_mmin().eval(), draw_x(5)
    with torch.no_grad():
        expected = system.predict(system.encode(x), ["v"])["v"].O
        for p in system.cycle.parameters():
            p.fill_(torch.nan)

        assert torch.equal(system.predict(system.encode(x), ["v"])["v"].O, expected)


def with_nan_for_missing(x, available):
    """Replace every frame of a missing modality by NaN."""
    frames = {m: x[m].frames.clone() for m in x}
    for i, m in enumerate("avt"):
        for row in (~available[:, i]).nonzero().flatten().tolist():
            frames[m][x[m].start[row] :][: x[m].lengths[row]] = torch.nan
    return {m: Sequences(frames[m], *x[m][1:]) for m in x}


def test_a_missing_modality_changes_no_bit_of_losses_and_gradients(new_mmin, draw_x):
    """Teacher targets come from the full input; the student reads only available modalities."""
    system, x = new_mmin().eval(), draw_x(6)
    expected = system.training_losses(six(x))
    gradient = gradients(expected["L"], system)

    got = system.training_losses(six(with_nan_for_missing(x, MASKS)))

    assert {name: x.item() for name, x in got.items()} == {name: x.item() for name, x in expected.items()}
    for name, nan_gradient in gradients(got["L"], system).items():
        assert torch.equal(nan_gradient, gradient[name]), name


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_missing_modality_changes_no_bit_of_a_prediction(new_mmin, draw_x, condition):
    system, x = new_mmin().eval(), draw_x(6)
    available = torch.tensor([availability(condition)]).expand(6, 3)
    with torch.no_grad():
        expected = system.predict(system.encode(x), [condition])[condition].O

        got = system.predict(system.encode(with_nan_for_missing(x, available)), [condition])[condition].O

    assert torch.equal(got, expected)
    assert got.isfinite().all()

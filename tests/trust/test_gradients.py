"""Gradients against finite differences in float64: each loss, each module, each system as a whole.

The derivative of a scalar in a random direction of one parameter, by central differences, is the product of
its gradient with that direction: an error anywhere in the gradient shows, whatever the size of the parameter.
"""

from itertools import product

import pytest
import torch
from torch import nn

from conftest import draw_sequences
from ifmmin.nn import mmin
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoders import ACTIVATIONS, InvarianceEncoder, LSTMMaxPool, TextCNN
from ifmmin.nn.imagination import Imagination
from ifmmin.nn.losses import central_moment, cmd, cmd_loss, feature_distance
from ifmmin.systems.mctn import Head, Translation
from ifmmin.training.batches import draw_masks
from trust import small

STEP, TOLERANCE = 1e-6, 1e-5
"""Step of a central difference, and the largest relative difference allowed: rounding leaves seven digits."""


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def worst(value, variables):
    """Largest difference, relative to the size of the gradient, between derivative and finite difference.

    Args:
        value: of no arguments, gives a scalar that depends on the variables; the same at each call.
        variables: name to leaf, float64.
    """
    gradients = torch.autograd.grad(value(), list(variables.values()), allow_unused=True)
    found = {}
    for i, (x, gradient) in enumerate(zip(variables.values(), gradients, strict=True)):
        direction = drawn(*x.shape, seed=3 + i)
        there = [_moved(value, x, step * direction) for step in (STEP, -STEP)]
        difference = (there[0] - there[1]) / (2 * STEP)
        told = 0.0 if gradient is None else (gradient * direction).sum().item()
        size = max(abs(difference), 0.0 if gradient is None else gradient.norm().item(), 1e-3)
        found[i] = abs(difference - told) / size
    return max(found.values())


def _moved(value, x, by):
    with torch.no_grad():
        x.add_(by)
        moved = value().item()
        x.sub_(by)
    return moved


def test_a_wrong_gradient_is_found():
    """One number of twenty is wrong by a tenth; a term that is held looks as if it had no gradient."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            gradient = gradient.clone()
            gradient.view(-1)[7] *= 1.1
            return gradient

    x = drawn(4, 5).requires_grad_()

    assert worst(lambda: x.pow(3).sum(), {"x": x}) < TOLERANCE
    assert worst(lambda: Wrong.apply(x).pow(3).sum(), {"x": x}) > 100 * TOLERANCE
    assert worst(lambda: x.detach().pow(3).sum() + x.sum(), {"x": x}) > 100 * TOLERANCE


# Losses.


@pytest.mark.parametrize("K", [1, 2, 3, 5])
def test_cmd(K):
    H_1, H_2 = drawn(5, 3).requires_grad_(), drawn(4, 3, seed=1).requires_grad_()

    assert torch.autograd.gradcheck(lambda *H: cmd(*H, K), (H_1, H_2))


def test_the_cmd_loss():
    H = [drawn(5, 3, seed=s).requires_grad_() for s in range(3)]

    assert torch.autograd.gradcheck(lambda *H: cmd_loss(dict(zip("avt", H, strict=True)), 5), H)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_a_central_moment(k):
    assert torch.autograd.gradcheck(lambda H: central_moment(H, k), drawn(5, 3).requires_grad_())


@pytest.mark.parametrize("form", ["rmse", "mse"])
def test_a_distance(form):
    x, y = drawn(4, 3).requires_grad_(), drawn(4, 3, seed=1).requires_grad_()

    assert torch.autograd.gradcheck(lambda *of: feature_distance(*of, form), (x, y))


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-18, 1e4])
@pytest.mark.parametrize("loss", ["rmse", "mse", "cmd"])
def test_a_loss_between_equal_features_is_0_and_its_gradient_too_at_any_size(loss, size):
    """Float32. At a distance of 0 the root has no derivative; NaN there would end every training."""
    x = (size * drawn(6, 4).float()).requires_grad_()
    y = x.detach().clone()

    value = cmd(x, y, 5) if loss == "cmd" else feature_distance(x, y, loss)
    value.backward()

    assert value.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e-23, 1e-8, 1e3])
@pytest.mark.parametrize("loss", ["rmse", "mse", "cmd"])
def test_a_loss_between_features_of_any_size_and_its_gradient_are_finite(loss, size):
    """Float32, where the squares of some of these are 0."""
    x = (size * drawn(6, 4).float()).requires_grad_()
    y = size * drawn(6, 4, seed=1).float()

    value = cmd(x, y, 5) if loss == "cmd" else feature_distance(x, y, loss)
    value.backward()

    assert value.isfinite()
    assert x.grad.isfinite().all()


# Modules.


def of_module(module, *inputs, out=lambda y: y):
    """The worst difference of a weighted sum of a module's output, by its weights and inputs."""
    small.distinct(module.double())
    x = {f"input {i}": of.requires_grad_() for i, of in enumerate(inputs)}

    def value():
        y = out(module(*x.values()))
        return (y * drawn(*y.shape, seed=9)).sum()

    return worst(value, {**dict(module.named_parameters()), **x})


def sequences(size, lengths=(1, 4, 7, 2)):
    """Four sequences and the zero placeholder, float64."""
    x = draw_sequences(list(lengths), size, torch.Generator().manual_seed(0))
    return x._replace(frames=x.frames.double()).with_placeholder(3)


@pytest.mark.parametrize("frames", [False, True], ids=["by hand", "plain, of the frames too"])
@pytest.mark.parametrize(
    "encoder",
    [
        LSTMMaxPool(size=5, hidden=4),
        TextCNN(size=5, hidden=4, kernel_heights=[2, 3], filters=3, dropout=0.0),
        TextCNN(size=5, hidden=4, kernel_heights=[1, 5], filters=3, dropout=0.0),
    ],
    ids=["LSTM", "text CNN of 2, 3", "text CNN of 1, 5"],
)
def test_an_encoder_of_sequences(encoder, frames):
    x = sequences(5)
    small.distinct(encoder.double())
    variables = dict(encoder.named_parameters())
    if frames:
        variables["frames"] = x.frames.requires_grad_()

    def value():
        h = encoder.head(encoder.pool(x))
        return (h * drawn(*h.shape, seed=9)).sum()

    assert worst(value, variables) < TOLERANCE


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_invariance_encoder(activation):
    encoder = InvarianceEncoder(hidden=4, depth=2, activation=activation, dropout=0.0)

    assert of_module(encoder, drawn(5, 4)) < TOLERANCE


def test_the_classifier():
    classifier = Classifier(size=6, layers=[5, 4], n_classes=3, dropout=0.0)

    assert of_module(classifier, drawn(5, 6)) < TOLERANCE


@pytest.mark.parametrize(
    ("cascade", "residual_output", "transition"),
    list(product(["every", "first", "if22", "residual"], [False, True], [False, True])),
)
def test_the_imagination_in_each_form(cascade, residual_output, transition):
    imagination = Imagination(
        size=6,
        layers=[5, 3],
        M=3,
        cascade=cascade,
        residual_output=residual_output,
        transition=transition,
    )

    assert of_module(imagination, drawn(4, 6), drawn(4, 6, seed=1), out=lambda y: torch.cat(y, 1)) < TOLERANCE


def test_a_translation_there():
    translation = Translation(hidden=4)
    there = nn.Module()
    there.translation, there.forward = translation, lambda x: translation.decode(translation.encode(x))

    assert of_module(there, drawn(3, 5, 4)) < TOLERANCE


def test_the_head_of_a_translator():
    assert of_module(Head(hidden=4), drawn(3, 5, 4)) < TOLERANCE


# Whole systems.


@pytest.fixture
def hold_targets(monkeypatch):
    """Of MMIN's distances, let the targets be numbers, as they are at the first look at the losses.

    L_cycle holds h, which finite differences would move.
    """
    held = {}

    def watched(begin):
        calls = iter(range(10))

        def distance_to_held(prediction, target, form):
            i = next(calls)
            if begin:
                held[i] = target.detach()
            return feature_distance(prediction, held[i], form)

        monkeypatch.setattr(mmin, "feature_distance", distance_to_held)

    return watched


def own(network):
    """Its parameters; of six networks, which share nothing, those of one with two levels and one with one."""
    of = dict(network.named_parameters())
    chosen = {name: p for name, p in of.items() if name.startswith(("members.a.", "members.vt."))}
    return chosen or of


@pytest.mark.parametrize("name", small.ALL)
def test_the_losses_of_a_system_by_all_of_its_parameters(name, corpus, hold_targets):
    """In training mode: dropout drops the same units each time."""
    network = small.distinct(small.network(name).double())
    double = corpus._replace(x={m: x._replace(frames=x.frames.double()) for m, x in corpus.x.items()})
    masks = draw_masks(7, torch.Generator().manual_seed(1))
    batch = small.batch_of(network, double, torch.arange(7), masks)

    def value(begin=False):
        """Each loss has a weight of its own, so that no error of one hides in another."""
        hold_targets(begin)
        torch.manual_seed(2)
        losses = torch.stack(list(network.training_losses(batch).values()))
        return (losses * drawn(len(losses), seed=4)).sum()

    value(begin=True)
    assert worst(value, own(network)) < TOLERANCE

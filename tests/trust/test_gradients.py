"""Gradients of losses, modules and systems against finite differences in float64.

The central difference of a scalar along a random direction of a parameter equals the product of its gradient
with that direction. Any error in the gradient shows, whatever the size of the parameter.
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
"""Step of the central difference, and the largest relative error allowed (rounding leaves seven digits)."""


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def largest_error(value, variables):
    """Largest difference between gradient and finite difference, relative to the size of the gradient.

    Args:
        value: function without arguments that returns a deterministic scalar of the variables.
        variables: float64 leaf tensors by name.
    """
    gradients = torch.autograd.grad(value(), list(variables.values()), allow_unused=True)
    errors = []
    for i, (x, gradient) in enumerate(zip(variables.values(), gradients, strict=True)):
        direction = drawn(*x.shape, seed=3 + i)
        above, below = (_shifted(value, x, step * direction) for step in (STEP, -STEP))
        difference = (above - below) / (2 * STEP)
        derivative = 0.0 if gradient is None else (gradient * direction).sum().item()
        size = max(abs(difference), 0.0 if gradient is None else gradient.norm().item(), 1e-3)
        errors.append(abs(difference - derivative) / size)
    return max(errors)


def _shifted(value, x, by):
    with torch.no_grad():
        x.add_(by)
        shifted = value().item()
        x.sub_(by)
    return shifted


def test_a_wrong_gradient_is_detected():
    """One of twenty gradients is wrong by 10 %; a detached term has no gradient at all."""

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

    assert largest_error(lambda: x.pow(3).sum(), {"x": x}) < TOLERANCE
    assert largest_error(lambda: Wrong.apply(x).pow(3).sum(), {"x": x}) > 100 * TOLERANCE
    assert largest_error(lambda: x.detach().pow(3).sum() + x.sum(), {"x": x}) > 100 * TOLERANCE


# Losses.


@pytest.mark.parametrize("K", [1, 2, 3, 5])
def test_the_gradient_of_cmd_agrees_with_finite_differences(K):
    H_1, H_2 = drawn(5, 3).requires_grad_(), drawn(4, 3, seed=1).requires_grad_()

    assert torch.autograd.gradcheck(lambda *H: cmd(*H, K), (H_1, H_2))


def test_the_gradient_of_the_cmd_loss_agrees_with_finite_differences():
    H = [drawn(5, 3, seed=s).requires_grad_() for s in range(3)]

    assert torch.autograd.gradcheck(lambda *H: cmd_loss(dict(zip("avt", H, strict=True)), 5), H)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_gradient_of_a_moment_agrees_with_finite_differences(k):
    assert torch.autograd.gradcheck(lambda H: central_moment(H, k), drawn(5, 3).requires_grad_())


@pytest.mark.parametrize("form", ["rmse", "mse"])
def test_the_gradient_of_a_distance_agrees_with_finite_differences(form):
    x, y = drawn(4, 3).requires_grad_(), drawn(4, 3, seed=1).requires_grad_()

    assert torch.autograd.gradcheck(lambda *features: feature_distance(*features, form), (x, y))


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-18, 1e4])
@pytest.mark.parametrize("loss", ["rmse", "mse", "cmd"])
def test_the_loss_of_equal_features_and_its_gradient_are_0_at_any_scale(loss, size):
    """In float32. The root has no derivative at a distance of 0, and NaN there would stop training."""
    x = (size * drawn(6, 4).float()).requires_grad_()
    y = x.detach().clone()

    value = cmd(x, y, 5) if loss == "cmd" else feature_distance(x, y, loss)
    value.backward()

    assert value.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e-23, 1e-8, 1e3])
@pytest.mark.parametrize("loss", ["rmse", "mse", "cmd"])
def test_losses_and_their_gradients_are_finite_at_any_scale(loss, size):
    """In float32, where squares of the smallest features underflow to 0."""
    x = (size * drawn(6, 4).float()).requires_grad_()
    y = size * drawn(6, 4, seed=1).float()

    value = cmd(x, y, 5) if loss == "cmd" else feature_distance(x, y, loss)
    value.backward()

    assert value.isfinite()
    assert x.grad.isfinite().all()


# Modules.


def module_error(module, *inputs, out=lambda y: y):
    """Largest gradient error of a weighted sum of a module's output, for its weights and inputs."""
    small.distinct(module.double())
    x = {f"input {i}": tensor.requires_grad_() for i, tensor in enumerate(inputs)}

    def value():
        y = out(module(*x.values()))
        return (y * drawn(*y.shape, seed=9)).sum()

    return largest_error(value, {**dict(module.named_parameters()), **x})


def sequences(size, lengths=(1, 4, 7, 2)):
    """Four sequences and the zero placeholder in float64."""
    x = draw_sequences(list(lengths), size, torch.Generator().manual_seed(0))
    return x._replace(frames=x.frames.double()).with_placeholder(3)


@pytest.mark.parametrize("frames", [False, True], ids=["kernel", "plain form with frame gradients"])
@pytest.mark.parametrize(
    "encoder",
    [
        LSTMMaxPool(size=5, hidden=4),
        TextCNN(size=5, hidden=4, kernel_heights=[2, 3], filters=3, dropout=0.0),
        TextCNN(size=5, hidden=4, kernel_heights=[1, 5], filters=3, dropout=0.0),
    ],
    ids=["LSTM", "text CNN of 2, 3", "text CNN of 1, 5"],
)
def test_sequence_encoders_agree_with_finite_differences(encoder, frames):
    x = sequences(5)
    small.distinct(encoder.double())
    variables = dict(encoder.named_parameters())
    if frames:
        variables["frames"] = x.frames.requires_grad_()

    def value():
        h = encoder.head(encoder.pool(x))
        return (h * drawn(*h.shape, seed=9)).sum()

    assert largest_error(value, variables) < TOLERANCE


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_invariance_encoder_agrees_with_finite_differences(activation):
    encoder = InvarianceEncoder(hidden=4, depth=2, activation=activation, dropout=0.0)

    assert module_error(encoder, drawn(5, 4)) < TOLERANCE


def test_the_classifier_agrees_with_finite_differences():
    classifier = Classifier(size=6, layers=[5, 4], n_classes=3, dropout=0.0)

    assert module_error(classifier, drawn(5, 6)) < TOLERANCE


@pytest.mark.parametrize(
    ("cascade", "residual_output", "transition"),
    list(product(["every", "first", "if22", "residual"], [False, True], [False, True])),
)
def test_the_imagination_agrees_with_finite_differences_in_each_form(cascade, residual_output, transition):
    imagination = Imagination(
        size=6,
        layers=[5, 3],
        M=3,
        cascade=cascade,
        residual_output=residual_output,
        transition=transition,
    )

    inputs = drawn(4, 6), drawn(4, 6, seed=1)
    assert module_error(imagination, *inputs, out=lambda y: torch.cat(y, 1)) < TOLERANCE


def test_a_forward_translation_agrees_with_finite_differences():
    translation = Translation(hidden=4)
    forward = nn.Module()
    forward.translation, forward.forward = translation, lambda x: translation.decode(translation.encode(x))

    assert module_error(forward, drawn(3, 5, 4)) < TOLERANCE


def test_the_translator_s_head_agrees_with_finite_differences():
    assert module_error(Head(hidden=4), drawn(3, 5, 4)) < TOLERANCE


# Systems.


@pytest.fixture
def freeze_targets(monkeypatch):
    """Freeze the targets of MMIN's distances at their values in the first call.

    L_cycle detaches its target h, but finite differences would still move it.
    """
    frozen = {}

    def patch(first):
        calls = iter(range(10))

        def distance_to_frozen(prediction, target, form):
            i = next(calls)
            if first:
                frozen[i] = target.detach()
            return feature_distance(prediction, frozen[i], form)

        monkeypatch.setattr(mmin, "feature_distance", distance_to_frozen)

    return patch


def parameters_to_check(network):
    """All parameters; of six independent networks, only those for {a} and {v,t} (two levels and one)."""
    parameters = dict(network.named_parameters())
    selected = {name: p for name, p in parameters.items() if name.startswith(("members.a.", "members.vt."))}
    return selected or parameters


@pytest.mark.parametrize("name", small.ALL)
def test_all_losses_of_a_system_agree_with_finite_differences(name, corpus, freeze_targets):
    """In training mode, with the same dropout mask at each call."""
    network = small.distinct(small.network(name).double())
    double = corpus._replace(x={m: x._replace(frames=x.frames.double()) for m, x in corpus.x.items()})
    masks = draw_masks(7, torch.Generator().manual_seed(1))
    batch = small.batch_of(network, double, torch.arange(7), masks)

    def value(first=False):
        """Weight each loss differently, so that errors cannot cancel."""
        freeze_targets(first)
        torch.manual_seed(2)
        losses = torch.stack(list(network.training_losses(batch).values()))
        return (losses * drawn(len(losses), seed=4)).sum()

    value(first=True)
    assert largest_error(value, parameters_to_check(network)) < TOLERANCE

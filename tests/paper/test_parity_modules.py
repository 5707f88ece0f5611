"""Parity of each module with the public reference implementations (fixtures a to f)."""

import numpy as np
import pytest
import torch
from torch import nn

from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoders import LSTMMaxPool, TextCNN
from ifmmin.nn.imagination import Imagination
from ifmmin.nn.losses import cmd, cmd_loss
from ifmmin.nn.mmin import imagine
from ifmmin.nn.sequences import from_padded, placeholder
from paper import reference
from paper.reference import check, tensor

each_dtype = pytest.mark.parametrize(("dtype", "tolerance"), reference.DTYPES, ids=["float32", "float64"])


def lstm_of(fixture, dtype):
    weights = {
        reference.lstm(key.removeprefix("lstm.")): array
        for key, array in fixture.items()
        if key.startswith("lstm.")
    }
    rows, size = fixture["lstm.weight_ih"].shape
    return reference.fill(LSTMMaxPool(size=size, hidden=rows // 4), weights, dtype)


@each_dtype
def test_parity_lstm_max_pool_reads_valid_frames_only(dtype, tolerance):
    """`output_alone` is the reference's output for each utterance without padding."""
    fixture = reference.load("a_lstm_maxpool.npz")
    x = from_padded(tensor(fixture["input"], dtype), torch.tensor(fixture["lengths"]))

    check(lstm_of(fixture, dtype).pool(x), fixture["output_alone"], tolerance, "output_alone")


@each_dtype
def test_parity_lstm_max_pool_states_and_gradients(dtype, tolerance):
    """With every step valid, states, maxima and gradients agree."""
    fixture = reference.load("a_lstm_maxpool.npz")
    encoder, x = lstm_of(fixture, dtype), tensor(fixture["input"], dtype).requires_grad_()

    pooled = encoder.pool(from_padded(x))
    (pooled * tensor(fixture["cotangent"], dtype)).sum().backward()

    check(encoder.lstm(x.transpose(0, 1))[0].transpose(0, 1), fixture["hidden_all"], tolerance, "hidden_all")
    check(pooled, fixture["output_padded"], tolerance, "output_padded")
    check(x.grad, fixture["grad_input"], tolerance, "grad_input")
    check(encoder.lstm.weight_hh_l0.grad, fixture["grad_weight_hh"], tolerance, "grad_weight_hh")


@each_dtype
@pytest.mark.parametrize("steps", [9, 50])
def test_parity_lstm_output_for_the_zero_placeholder(dtype, tolerance, steps):
    fixture = reference.load("a_lstm_maxpool.npz")
    encoder = lstm_of(fixture, dtype)
    zeros = placeholder(steps, fixture["input"].shape[2], torch.empty(0, dtype=dtype))

    check(encoder.pool(zeros), fixture[f"output_zero_T{steps}"], tolerance, f"output_zero_T{steps}")


def text_of(fixture, dtype):
    fixture = {key.removeprefix("cnn."): array for key, array in fixture.items()}
    weights = dict(
        reference.text(key, array) for key, array in fixture.items() if key.startswith(("conv", "proj"))
    )
    filters, _, size = fixture["conv3.weight"].shape
    encoder = TextCNN(
        size=size, hidden=len(fixture["proj.bias"]), kernel_heights=[3, 4, 5], filters=filters, dropout=0.5
    )
    return reference.fill(encoder, weights, dtype).eval()


@each_dtype
def test_parity_text_cnn_output_and_gradient(dtype, tolerance):
    fixture = reference.load("b_textcnn.npz")
    encoder, x = text_of(fixture, dtype), tensor(fixture["input"], dtype).requires_grad_()

    h = encoder.head(encoder.pool(from_padded(x)))
    (h * tensor(fixture["cotangent"], dtype)).sum().backward()

    check(h, fixture["output"], tolerance, "output")
    check(x.grad, fixture["grad_input"], tolerance, "grad_input")


@each_dtype
def test_parity_text_cnn_output_for_the_zero_placeholder(dtype, tolerance):
    fixture = reference.load("b_textcnn.npz")
    encoder = text_of(fixture, dtype)
    zeros = placeholder(fixture["input"].shape[1], fixture["input"].shape[2], torch.empty(0, dtype=dtype))

    check(encoder.head(encoder.pool(zeros)), fixture["output_zero"], tolerance, "output_zero")


FORMS = {
    "if24": {"cascade": "every", "residual_output": False, "transition": True},
    "mid": {"cascade": "every", "residual_output": True, "transition": True},
    "if22": {"cascade": "if22", "residual_output": True, "transition": True},
    "define": {"cascade": "residual", "residual_output": True, "transition": True},
    "derived_no_cascade": {"cascade": "first", "residual_output": False, "transition": True},
    "derived_paper_eq2": {"cascade": "every", "residual_output": False, "transition": False},
}


def cascade_of(fixture, size, form, dtype):
    """A fixture's cascade in one of the forms, with its weights."""
    keys = [key.removeprefix("ae.") for key in fixture if key.startswith("ae.")]
    named = {
        reference.autoencoder(key): reference.autoencoder_array(key, fixture[f"ae.{key}"]) for key in keys
    }
    widths = [len(fixture[f"ae.block0.enc.{j}.bias"]) for j in range(3)]
    M = len({key.split(".")[0] for key in keys if key.startswith("block")})
    module = Imagination(size=size, layers=widths, M=M, **FORMS[form])
    if not FORMS[form]["transition"]:
        named = {name: array for name, array in named.items() if not name.startswith("transition")}
    return reference.fill(module, named, dtype), reference.order(size)


@each_dtype
def test_parity_cascade_of_mmin(dtype, tolerance):
    """MMIN's cascade reads no H'."""
    fixture = reference.load("c_mmin_ae.npz")
    module, permuted = cascade_of(fixture, fixture["input"].shape[1], "define", dtype)

    imagined = imagine(module, tensor(fixture["input"][:, permuted], dtype))

    check(imagined.h_prime, fixture["output"][:, permuted], tolerance, "output")
    check(imagined.C, fixture["codes"], tolerance, "codes")


@each_dtype
@pytest.mark.parametrize("form", FORMS)
def test_parity_imagination(dtype, tolerance, form):
    """Every released form of the cascade, that of the ablation, and equation 2."""
    fixture = reference.load("d_ifim.npz")
    module, permuted = cascade_of(fixture, fixture["h"].shape[1], form, dtype)

    imagined = module(tensor(fixture["h"][:, permuted], dtype), tensor(fixture["H"][:, permuted], dtype))

    check(imagined.h_prime, fixture[f"{form}.output"][:, permuted], tolerance, f"{form}.output")
    check(imagined.C, fixture.get(f"{form}.codes", fixture["if24.codes"]), tolerance, f"{form}.codes")


@each_dtype
@pytest.mark.parametrize("K", [1, 2, 3, 5])
@pytest.mark.parametrize("case", [0, 1, 2, 3])
def test_parity_cmd_value_and_gradients(dtype, tolerance, case, K):
    fixture = reference.load("e_cmd.npz")
    x, y = (tensor(fixture[f"case{case}.{name}"], dtype).requires_grad_() for name in "xy")

    value = cmd(x, y, K)
    value.backward()

    check(value, fixture[f"case{case}.K{K}.value"], tolerance, "value")
    check(x.grad, fixture[f"case{case}.K{K}.grad_x"], tolerance, "grad_x")
    check(y.grad, fixture[f"case{case}.K{K}.grad_y"], tolerance, "grad_y")


@each_dtype
def test_parity_cmd_loss_of_three_modalities(dtype, tolerance):
    fixture = reference.load("e_cmd.npz")
    H_m = {m: tensor(fixture[f"triple.{m}"], dtype).requires_grad_() for m in "avt"}

    value = cmd_loss(H_m, 5)
    value.backward()

    check(value, fixture["triple.value"], tolerance, "value")
    for m, H in H_m.items():
        check(H.grad, fixture[f"triple.grad_{m}"], tolerance, f"grad_{m}")


def test_parity_cmd_of_equal_batches_has_gradient_0_not_nan():
    fixture = reference.load("e_cmd.npz")
    x = tensor(fixture["same.x"], torch.float32).requires_grad_()

    value = cmd(x, x.detach().clone(), 5)
    value.backward()

    assert value.item() == fixture["same.value"] == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


@each_dtype
@pytest.mark.parametrize("name", ["joint", "pretrain"])
def test_parity_classifier(dtype, tolerance, name):
    fixture = {
        key.removeprefix(f"{name}."): array
        for key, array in reference.load("f_classifier.npz").items()
        if key.startswith(name)
    }
    weights = {
        reference.classifier(key): array for key, array in fixture.items() if key.endswith(("weight", "bias"))
    }
    module = Classifier(
        size=fixture["input"].shape[1],
        layers=[len(fixture["0.bias"]), len(fixture["1.bias"])],
        n_classes=len(fixture["out.bias"]),
        dropout=0.5,
    )
    module = reference.fill(module, weights, dtype).eval()
    x = tensor(fixture["input"], dtype)

    O = module(x)

    check(module.hidden(x), fixture["hidden"], tolerance, "hidden")
    check(O, fixture["logits"], tolerance, "logits")
    check(nn.functional.cross_entropy(O, torch.tensor(fixture["labels"])), fixture["ce"], tolerance, "ce")


def test_parity_fixtures_exist():
    assert (reference.FOLDER / "g_ifmmin_full.npz").is_file(), (
        f"{reference.FOLDER}: no fixtures; set PARITY_DIR"
    )
    assert np.load(reference.FOLDER / "g_ifmmin_full.npz")["h"].dtype == np.float64

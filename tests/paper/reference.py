"""Fixtures of the public reference implementations, with their parameters under our names.

The reference concatenates [a, t, v] and we [a, v, t]. Only this module permutes parameters that face a
concatenation.
"""

import os
import re
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(os.environ.get("PARITY_DIR", Path(__file__).parent / "parity"))

DTYPES = [(torch.float32, 1e-5), (torch.float64, 1e-9)]
"""Tolerances of the fixtures' README: largest difference relative to max(1, largest value)."""


def load(name):
    """Load a fixture as arrays by name."""
    with np.load(FOLDER / name) as arrays:
        return {key: arrays[key] for key in arrays.files}


def tensor(array, dtype):
    return torch.tensor(array).to(dtype)


def check(got, want, tolerance, name):
    """Assert that an array is within the tolerance."""
    got, want = (
        np.asarray(got.detach() if torch.is_tensor(got) else got, np.float64),
        np.asarray(want, np.float64),
    )
    assert got.shape == want.shape, f"{name}: shape {got.shape}, expected {want.shape}"
    worst = np.abs(got - want).max()
    allowed = tolerance * max(1.0, np.abs(want).max())
    assert worst <= allowed, f"{name}: largest difference {worst:.2e}, allowed {allowed:.2e}"


def order(size):
    """Indices that permute a concatenation [a, t, v] of `size` features to [a, v, t]."""
    part = size // 3
    return np.r_[0:part, 2 * part : 3 * part, part : 2 * part]


def lstm(key):
    """Name of an LSTM's parameter: weight_ih -> lstm.weight_ih_l0."""
    return f"lstm.{key}_l0"


def ours(name, array):
    """Convert a parameter of the reference (or its gradient) to (our name, our array).

    Names are those of the fixtures' README without the prefix of teacher or student.
    """
    net, _, key = name.partition(".")
    if net in ("enc_a", "enc_v"):
        return f"encoders.specificity.{net[-1]}.{lstm(key)}", array
    if net == "enc_t":
        return f"encoders.specificity.t.{text(key)[0]}", text(key, array)[1]
    if net == "enc_inv":
        number, kind = key.split(".")
        return f"encoders.invariance.layers.{3 * int(number)}.{kind}", array
    if net == "cls":
        return f"classifier.{classifier(key)}", array
    cascade = {"ae": "imagination", "ae_cycle": "cycle"}[net]
    return f"{cascade}.{autoencoder(key)}", autoencoder_array(key, array)


def text(key, array=None):
    """TextCNN: convK.weight [filters, K, D] -> Conv1d [filters, D, K]; the heights are 3, 4, 5 in order."""
    match = re.fullmatch(r"conv(\d)\.(\w+)", key)
    if not match:
        return key.replace("proj", "projection"), array
    swapped = array if array is None or match[2] == "bias" else array.transpose(0, 2, 1)
    return f"convolutions.{int(match[1]) - 3}.{match[2]}", swapped


def classifier(key):
    """Classifier: 0, 1 -> hidden.0, hidden.3 (linear, ReLU, dropout); out stays."""
    number, kind = key.split(".")
    return f"out.{kind}" if number == "out" else f"hidden.{3 * int(number)}.{kind}"


def autoencoder(key):
    """Cascade: blockI.enc.J -> omega.I.encoder.2J; transition.J -> transition.2J."""
    match = re.fullmatch(r"block(\d+)\.(enc|dec)\.(\d)\.(\w+)", key)
    if match:
        return (
            f"omega.{match[1]}.{'encoder' if match[2] == 'enc' else 'decoder'}.{2 * int(match[3])}.{match[4]}"
        )
    number, kind = key.removeprefix("transition.").split(".")
    return f"transition.{2 * int(number)}.{kind}"


def autoencoder_array(key, array):
    """Permute the weights of the cascade that face a concatenation."""
    if re.fullmatch(r"block\d+\.enc\.0\.weight", key):
        return array[:, order(array.shape[1])]
    if re.fullmatch(r"block\d+\.dec\.2\.(weight|bias)", key):
        return array[order(array.shape[0])]
    if key.startswith("transition"):
        array = array[order(array.shape[0])]
        return array[:, order(array.shape[1])] if array.ndim == 2 else array
    return array


def parameters(fixture, prefix=""):
    """All parameters of a fixture under our names; the prefix selects student or teacher."""
    nets = ("enc_a.", "enc_v.", "enc_t.", "enc_inv.", "cls.", "ae.", "ae_cycle.")
    selected = {key.removeprefix(prefix): array for key, array in fixture.items() if key.startswith(prefix)}
    return dict(ours(key, array) for key, array in selected.items() if key.startswith(nets))


def fill(module, named, dtype):
    """Load exactly the named parameters into a module."""
    module.to(dtype).load_state_dict({name: tensor(array, dtype) for name, array in named.items()})
    return module

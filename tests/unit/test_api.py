"""Trained models from Python: ifmmin.load."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

import ifmmin
import models
from conftest import FILES, SIZES
from ifmmin.core.errors import UserError
from ifmmin.training import weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of two IF-MMIN models with different weights."""
    monkeypatch.setenv("IFMMIN_DEVICE", "cpu")
    for seed in (0, 1):
        system = models.model("if_mmin", seed)
        weights.write(
            tmp_path / f"models/1-{seed}.safetensors", system.state_dict(), models.header("if_mmin")
        )
    return tmp_path / "models"


def frames(m, T=4, seed=0):
    return np.random.default_rng(seed).standard_normal((T, SIZES[m])).astype(np.float32)


def test_a_prediction_has_an_emotion_probabilities_and_the_condition(folder):
    model = ifmmin.load(folder / "1-0.safetensors")

    prediction = model.predict({"a": frames("a"), "t": frames("t").tolist()})

    assert model.classes == tuple(models.CLASSES)
    assert prediction.condition == "at"
    assert set(prediction.probabilities) == set(model.classes)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.emotion == max(prediction.probabilities, key=prediction.probabilities.get)


def test_an_ensemble_averages_the_probabilities_of_its_models(folder):
    x = {m: frames(m) for m in "avt"}
    single = [ifmmin.load(folder / f"1-{seed}.safetensors").predict(x).probabilities for seed in (0, 1)]

    both = ifmmin.load(folder).predict(x).probabilities

    assert both == pytest.approx({name: (single[0][name] + single[1][name]) / 2 for name in both})


def test_arrays_and_a_pack_of_the_same_frames_give_the_same_prediction(folder, tmp_path):
    x = {m: frames(m) for m in "avt"}
    for m, name in FILES.items():
        (tmp_path / "pack" / name).parent.mkdir(parents=True)
        with h5py.File(tmp_path / "pack" / name, "w") as file:
            file["u"] = x[m]
    model = ifmmin.load(folder)

    [row] = model.predict_pack(tmp_path / "pack").to_dict("records")

    prediction = model.predict(x)
    assert (row["utterance_id"], row["condition"], row["emotion"]) == ("u", "avt", prediction.emotion)
    assert {name: row[f"p_{name}"] for name in model.classes} == prediction.probabilities


def test_padding_and_an_all_zero_modality_change_nothing(folder):
    model, x = ifmmin.load(folder), {m: frames(m) for m in "at"}
    padded = {**x, "t": np.pad(x["t"], ((0, 3), (0, 0))), "v": np.zeros((2, SIZES["v"]))}

    assert model.predict(padded) == model.predict(x)


def test_a_condition_can_be_chosen(folder):
    model, x = ifmmin.load(folder), {m: frames(m) for m in "avt"}

    assert model.predict(x, "v") == model.predict({"v": x["v"]})


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({}, "the utterance has no modality; expected frames of a, v or t"),
        ({"x": [[1.0]]}, "modality 'x' is not known; expected a, v or t"),
        ({"a": [1.0, 2.0]}, rf"frames of a have shape \[2\]; expected \[T, {SIZES['a']}\]"),
        ({"a": np.ones((3, SIZES["a"] + 1))}, rf"frames of a have shape \[3, {SIZES['a'] + 1}\]; expected"),
        ({"a": np.full((3, SIZES["a"]), np.nan)}, "frames of a hold a number that is not finite"),
    ],
)
def test_unusable_frames_are_refused(folder, x, message):
    with pytest.raises(UserError, match=message):
        ifmmin.load(folder).predict(x)


def test_loading_and_predicting_do_not_change_the_settings_of_torch(folder):
    before = torch.get_deterministic_debug_mode(), torch.get_rng_state()

    ifmmin.load(folder).predict({"a": frames("a")})

    assert torch.get_deterministic_debug_mode() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no model; expected \.safetensors files"):
        ifmmin.load(tmp_path)


def test_the_table_of_a_pack_is_sorted_and_complete(folder, pack):
    pack.write()

    table = ifmmin.load(folder).predict_pack(pack.folder)

    assert isinstance(table, pd.DataFrame)
    assert list(table["utterance_id"]) == pack.ids

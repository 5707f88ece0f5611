"""Prediction for utterances with any modalities, by systems whose output is known."""

import threading
from copy import deepcopy

import numpy as np
import pytest
import torch

import models
from ifmmin.core.errors import UserError
from ifmmin.deploy import inference
from ifmmin.nn.protocol import Prediction

CPU = torch.device("cpu")


class Sums:
    """A system with two logits: the sum of all numbers of the available modalities, and 0."""

    knows = ("a", "v", "t", "av", "at", "vt", "avt")

    def eval(self):
        return self

    def encode(self, x):
        return {
            m: torch.tensor(
                [float(seq.frames[s : s + n].sum()) for s, n in zip(seq.start, seq.lengths, strict=True)]
            )
            for m, seq in x.items()
        }

    def predict(self, encoded, conditions):
        return {
            c: Prediction(torch.stack([s := sum(encoded[m] for m in c), torch.zeros_like(s)], dim=1), None)
            for c in conditions
            if c in self.knows
        }

    def monitored(self, encoded):
        return {}


class Pairs(Sums):
    knows = ("av",)


def model(
    system=None,
    name="m",
    classes=("x", "y"),
    mean=0.0,
    std=1.0,
    temperature=1.0,
    identifier="if_mmin",
    synthetic=False,
    **extractors,
):
    scaling = (np.full(2, mean, np.float32), np.full(2, std, np.float32))
    temperatures = dict.fromkeys(Sums.knows, temperature)
    sizes = {"a": 2, "v": 1, "t": 3}
    return inference.Model(
        name, identifier, system or Sums(), CPU, sizes, classes, scaling, temperatures, extractors, synthetic
    )


def frames(**spec):
    """Constant frames, from {utterance: (number, length)} of each modality."""
    sizes = {"a": 2, "v": 1, "t": 3}
    return {
        m: {u: np.full((n, sizes[m]), x, np.float32) for u, (x, n) in spec.get(m, {}).items()} for m in "avt"
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_each_utterance_is_predicted_from_its_available_modalities():
    x = frames(
        a={"p": (0.1, 3), "q": (0.2, 1)}, v={"p": (0.5, 2), "r": (-1, 1)}, t={"q": (0.1, 2), "p": (0, 4)}
    )

    table = inference.emotions([model()], x, "auto", "float32")

    assert table["utterance_id"].tolist() == ["p", "q", "r"]
    assert table["condition"].tolist() == ["av", "at", "v"], "an all-zero modality is missing"
    np.testing.assert_allclose(table["p_x"], [sigmoid(0.6 + 1.0), sigmoid(0.4 + 0.6), sigmoid(-1)], rtol=1e-6)
    np.testing.assert_allclose(table["p_x"] + table["p_y"], 1)
    assert table["emotion"].tolist() == ["x", "x", "y"]


def test_a_chosen_condition_ignores_the_other_modalities():
    x = frames(a={"p": (0.1, 3)}, v={"p": (0.5, 2)}, t={"p": (9, 4)})

    table = inference.emotions([model()], x, "v", "float32")

    assert table["condition"].tolist() == ["v"]
    assert table["p_x"].tolist() == pytest.approx([sigmoid(1.0)])


def test_only_acoustic_frames_are_scaled():
    x = frames(a={"p": (3.0, 1)}, v={"p": (3.0, 1)})

    table = inference.emotions([model(mean=1.0, std=4.0)], x, "auto", "float32")

    assert table["p_x"].tolist() == pytest.approx([sigmoid(2 * 0.5 + 3)])
    assert (x["a"]["p"] == 3).all(), "the input must not change"


def test_an_ensemble_averages_calibrated_probabilities():
    x = frames(v={"p": (2.0, 1)})

    table = inference.emotions([model(temperature=1.0), model(temperature=4.0)], x, "auto", "float32")

    assert table["p_x"].tolist() == pytest.approx([(sigmoid(2) + sigmoid(0.5)) / 2])


@pytest.mark.parametrize(
    ("x", "condition", "message"),
    [
        (
            frames(a={"p": (0, 3)}),
            "auto",
            "utterance 'p' has no modality; expected at least one. Leave it out, or add its frames.",
        ),
        (
            frames(a={"p": (1, 3)}),
            "av",
            "utterance 'p' has {a}; expected {a,v}. Leave it out, or add its frames.",
        ),
    ],
)
def test_an_utterance_without_the_requested_modalities_is_refused(x, condition, message):
    with pytest.raises(UserError) as refused:
        inference.emotions([model()], x, condition, "float32")

    assert str(refused.value) == message


def test_a_condition_without_a_network_is_refused():
    with pytest.raises(UserError, match=r"none for \{a\}; expected fewer modalities"):
        inference.emotions([model(Pairs(), temperature=1.0)], frames(a={"p": (1, 1)}), "auto", "float32")


def test_models_that_do_not_fit_the_frames_or_each_other_are_refused():
    assert inference.check_frames([model(a="x 1"), model()], {"t": 3}, {}) == ""
    assert inference.check_frames([model(a="x 1")], {"a": 2}, {"a": "x 1", "t": "y"}) == ""
    with pytest.raises(UserError, match=r"^m: takes 2 features per frame of a; the input has 7\. "):
        inference.check_frames([model()], {"a": 7}, {})
    with pytest.raises(UserError, match=r"^n: classes are y, x; those of m are x, y\. "):
        inference.check_ensemble([model(), model(name="n", classes=("y", "x"))])


def test_models_of_several_systems_are_not_an_ensemble():
    with pytest.raises(
        UserError, match=r"models belong to 2 systems \(if_mmin, mmin\); expected models of one"
    ):
        inference.check_ensemble([model(), model(identifier="mmin"), model()])


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        (model(a="x 1"), "was trained on acoustic features from x 1; the input features are from x 2"),
        (model(), "was trained on acoustic features from an unknown extractor; the input"),
        (
            model(synthetic=True, a="g"),
            r"was trained on acoustic features from a synthetic corpus \(g\); the input",
        ),
    ],
    ids=["another", "unknown", "synthetic"],
)
def test_frames_of_another_extractor_are_refused_or_give_a_warning(trained, message):
    with pytest.raises(UserError, match=message):
        inference.check_frames([trained], {"a": 2}, {"a": "x 2"})
    assert "x 2" in inference.check_frames([trained], {"a": 2}, {"a": "x 2"}, any_extractor=True)


def utterance_ids(parts):
    return [utterance_id for part in parts for utterance_id in part["utterance_id"]]


def test_batches_are_returned_in_order_each_on_one_thread():
    class Slow(Sums):
        """Finishes the first batch last."""

        second, counts = threading.Event(), []

        def encode(self, x):
            self.counts.append((threading.get_ident(), torch.get_num_threads()))
            if float(x["a"].frames[0, 0]) == 1:
                assert self.second.wait(20), "no other batch ran meanwhile"
            self.second.set()
            return super().encode(x)

    batches = [frames(a={name: (x, 1)}) for name, x in (("p", 1), ("q", 2), ("r", 3))]

    parts = inference.predict_in_parallel([model(Slow())], batches, "auto", "float32", 2)

    assert utterance_ids(parts) == ["p", "q", "r"]
    assert {number for _, number in Slow.counts} == {1}
    assert len({thread for thread, _ in Slow.counts}) == 2


@pytest.mark.parametrize(("waiting", "ahead"), [(1 << 28, 3), (30, 1), (0, 0)])
def test_few_batches_are_read_ahead(monkeypatch, waiting, ahead):
    """Batches have 24 bytes. Three threads read at most three ahead, or one if only 30 bytes may wait."""
    monkeypatch.setattr(inference, "MAX_PENDING_BYTES", waiting)
    read = 0

    def batches():
        nonlocal read
        for read in range(1, 9):
            yield frames(a={f"u{read}": (1, 3)})

    most = 0
    for returned, _ in enumerate(
        inference.predict_in_parallel([model()], batches(), "auto", "float32", 3), 1
    ):
        most = max(most, read - returned)

    assert most == ahead


def test_after_an_error_in_one_batch_no_further_batches_start():
    class Counted(Sums):
        started = 0

        def encode(self, x):
            Counted.started += 1
            return super().encode(x)

    all_zero = frames(a={"p": (0, 1)})
    batches = [all_zero, *(frames(a={f"u{k}": (1, 1)}) for k in range(100))]

    with pytest.raises(UserError, match="utterance 'p' has no modality"):
        list(inference.predict_in_parallel([model(Counted())], batches, "auto", "float32", 2))

    assert Counted.started < 10


def changed_header(path, value):
    """A model's header with one value replaced, or removed if the new value is None."""
    header = deepcopy(models.header("if_mmin"))
    *keys, last = path.split(".")
    inner = header
    for key in keys:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return header


def test_a_model_takes_its_settings_from_the_header():
    loaded = inference.model("m", models.model("if_mmin"), CPU, models.header("if_mmin"))

    assert (loaded.sizes, loaded.classes, loaded.extractors) == (models.SIZES, models.CLASSES, {})
    np.testing.assert_array_equal(loaded.scaling[0], np.float32(models.SCALING["mean"]))
    assert loaded.temperatures["a"] == 0.7


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("corpus.classes", ["x", "y", "z"], "invalid classes"),
        ("corpus.classes", [1, 2, 3, 4], "invalid classes"),
        ("corpus", [], "TypeError"),
        ("corpus.extractors", "x", "ValueError"),
        ("corpus.extractors", {"a": 1}, "invalid extractors"),
        ("calibration", [], "AttributeError"),
        ("calibration.a.temperature", 0, "invalid calibration"),
        ("calibration.a.temperature", float("nan"), "invalid calibration"),
        ("calibration.a.temperature", float("inf"), "invalid calibration"),
        ("calibration.a.temperature", None, "KeyError: 'temperature'"),
        ("scaling.std", [0.0] * 5, "invalid scaling"),
        ("scaling.mean", [1e39] * 5, "invalid scaling"),
        ("scaling.mean", [1.0], "invalid scaling"),
        ("scaling", None, "KeyError: 'scaling'"),
        ("start.encoders", 3, "TypeError"),
    ],
)
def test_a_header_with_invalid_values_is_refused(path, value, fault):
    with pytest.raises(UserError, match=rf"^m: is not a usable model \({fault}"):
        inference.model("m", models.model("if_mmin"), CPU, changed_header(path, value))


def test_a_condition_without_a_temperature_is_refused():
    lacking = model()._replace(temperatures={"v": 1.0})

    with pytest.raises(UserError, match=r"none for \{a\}"):
        inference.emotions([lacking], frames(a={"p": (1, 1)}), "auto", "float32")

"""Emotions of utterances with whatever modalities they have, by systems whose answer is known by hand."""

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
    """Its logits are the sum of all numbers of the modalities that a condition has, and 0."""

    knows = ("a", "v", "t", "av", "at", "vt", "avt")

    def eval(self):
        return self

    def encode(self, x):
        return {
            m: torch.tensor(
                [float(of.frames[s : s + n].sum()) for s, n in zip(of.start, of.lengths, strict=True)]
            )
            for m, of in x.items()
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


def frames(**of):
    """Frames that hold one number throughout: by modality, then utterance, that number and the length."""
    sizes = {"a": 2, "v": 1, "t": 3}
    return {
        m: {u: np.full((n, sizes[m]), x, np.float32) for u, (x, n) in of.get(m, {}).items()} for m in "avt"
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_each_utterance_is_told_from_the_modalities_that_it_has():
    x = frames(
        a={"p": (0.1, 3), "q": (0.2, 1)}, v={"p": (0.5, 2), "r": (-1, 1)}, t={"q": (0.1, 2), "p": (0, 4)}
    )

    table = inference.emotions([model()], x, "auto", "float32")

    assert table["utterance_id"].tolist() == ["p", "q", "r"]
    assert table["condition"].tolist() == ["av", "at", "v"], "all zero is missing"
    np.testing.assert_allclose(table["p_x"], [sigmoid(0.6 + 1.0), sigmoid(0.4 + 0.6), sigmoid(-1)], rtol=1e-6)
    np.testing.assert_allclose(table["p_x"] + table["p_y"], 1)
    assert table["emotion"].tolist() == ["x", "x", "y"]


def test_a_condition_that_is_named_leaves_the_rest_unread():
    x = frames(a={"p": (0.1, 3)}, v={"p": (0.5, 2)}, t={"p": (9, 4)})

    table = inference.emotions([model()], x, "v", "float32")

    assert table["condition"].tolist() == ["v"]
    assert table["p_x"].tolist() == pytest.approx([sigmoid(1.0)])


def test_acoustic_frames_are_scaled_as_the_model_says_and_no_others():
    x = frames(a={"p": (3.0, 1)}, v={"p": (3.0, 1)})

    table = inference.emotions([model(mean=1.0, std=4.0)], x, "auto", "float32")

    assert table["p_x"].tolist() == pytest.approx([sigmoid(2 * 0.5 + 3)])
    assert (x["a"]["p"] == 3).all(), "the frames themselves are left alone"


def test_several_models_answer_by_the_mean_of_their_calibrated_probabilities():
    x = frames(v={"p": (2.0, 1)})

    table = inference.emotions([model(temperature=1.0), model(temperature=4.0)], x, "auto", "float32")

    assert table["p_x"].tolist() == pytest.approx([(sigmoid(2) + sigmoid(0.5)) / 2])


@pytest.mark.parametrize(
    ("x", "condition", "sentence"),
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
def test_an_utterance_without_what_is_asked_for_is_refused(x, condition, sentence):
    with pytest.raises(UserError) as refused:
        inference.emotions([model()], x, condition, "float32")

    assert str(refused.value) == sentence


def test_a_system_without_a_network_for_a_condition_says_so():
    with pytest.raises(UserError, match=r"none for \{a\}; expected fewer modalities"):
        inference.emotions([model(Pairs(), temperature=1.0)], frames(a={"p": (1, 1)}), "auto", "float32")


def test_models_and_frames_that_do_not_go_together_are_refused():
    assert inference.check_frames([model(a="x 1"), model()], {"t": 3}, {}) == ""
    assert inference.check_frames([model(a="x 1")], {"a": 2}, {"a": "x 1", "t": "y"}) == ""
    with pytest.raises(UserError, match=r"^m: takes 2 numbers a frame of a; the input has 7\. "):
        inference.check_frames([model()], {"a": 7}, {})
    with pytest.raises(UserError, match=r"^n: classes are y, x; those of m are x, y\. "):
        inference.check_ensemble([model(), model(name="n", classes=("y", "x"))])


def test_models_of_several_systems_are_no_ensemble():
    with pytest.raises(UserError, match=r"models of 2 systems \(if_mmin, mmin\); expected those of one"):
        inference.check_ensemble([model(), model(identifier="mmin"), model()])


@pytest.mark.parametrize(
    ("trained", "sentence"),
    [
        (model(a="x 1"), "was trained on modality a of x 1; the input was made by x 2"),
        (model(), "was trained on modality a of an extractor that its corpus does not name; the input was"),
        (model(synthetic=True, a="g"), r"was trained on modality a of a synthetic corpus \(g\); the input"),
    ],
    ids=["another", "unknown", "synthetic"],
)
def test_frames_of_an_extractor_that_is_not_the_model_s_are_refused_or_doubted(trained, sentence):
    with pytest.raises(UserError, match=sentence):
        inference.check_frames([trained], {"a": 2}, {"a": "x 2"})
    assert "x 2" in inference.check_frames([trained], {"a": 2}, {"a": "x 2"}, any_extractor=True)


def told(parts):
    return [utterance_id for part in parts for utterance_id in part["utterance_id"]]


def test_batches_are_answered_in_their_order_each_on_one_thread():
    class Slow(Sums):
        """Answers the first batch last."""

        second, counts = threading.Event(), []

        def encode(self, x):
            self.counts.append((threading.get_ident(), torch.get_num_threads()))
            if float(x["a"].frames[0, 0]) == 1:
                assert self.second.wait(20), "nothing else was answered meanwhile"
            self.second.set()
            return super().encode(x)

    batches = [frames(a={name: (x, 1)}) for name, x in (("p", 1), ("q", 2), ("r", 3))]

    parts = inference.side_by_side([model(Slow())], batches, "auto", "float32", 2)

    assert told(parts) == ["p", "q", "r"]
    assert {number for _, number in Slow.counts} == {1}
    assert len({thread for thread, _ in Slow.counts}) == 2


@pytest.mark.parametrize(("waiting", "ahead"), [(1 << 28, 3), (30, 1), (0, 0)])
def test_few_batches_are_read_before_they_are_answered(monkeypatch, waiting, ahead):
    """Three of 24 bytes at most with three threads, one where 30 bytes may wait."""
    monkeypatch.setattr(inference, "WAITING", waiting)
    read = 0

    def batches():
        nonlocal read
        for read in range(1, 9):
            yield frames(a={f"u{read}": (1, 3)})

    most = 0
    for answered, _ in enumerate(inference.side_by_side([model()], batches(), "auto", "float32", 3), 1):
        most = max(most, read - answered)

    assert most == ahead


def test_a_fault_in_one_batch_ends_all_and_what_is_not_begun_never_begins():
    class Counted(Sums):
        begun = 0

        def encode(self, x):
            Counted.begun += 1
            return super().encode(x)

    silent = frames(a={"p": (0, 1)})
    batches = [silent, *(frames(a={f"u{k}": (1, 1)}) for k in range(100))]

    with pytest.raises(UserError, match="utterance 'p' has no modality"):
        list(inference.side_by_side([model(Counted())], batches, "auto", "float32", 2))

    assert Counted.begun < 10


def with_part(path, value):
    """A model's header with one part replaced, or taken away."""
    header = deepcopy(models.header("if_mmin"))
    *way, last = path.split(".")
    inner = header
    for key in way:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return header


def test_a_model_has_what_its_header_says():
    made = inference.model("m", models.model("if_mmin"), CPU, models.header("if_mmin"))

    assert (made.sizes, made.classes, made.extractors) == (models.SIZES, models.CLASSES, {})
    np.testing.assert_array_equal(made.scaling[0], np.float32(models.SCALING["mean"]))
    assert made.temperatures["a"] == 0.7


@pytest.mark.parametrize(
    ("path", "value", "said"),
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
def test_a_header_that_would_give_silent_nonsense_is_refused(path, value, said):
    with pytest.raises(UserError, match=rf"^m: is no usable model \({said}"):
        inference.model("m", models.model("if_mmin"), CPU, with_part(path, value))


def test_a_condition_without_a_temperature_is_not_answered():
    lacking = model()._replace(temperatures={"v": 1.0})

    with pytest.raises(UserError, match=r"none for \{a\}"):
        inference.emotions([lacking], frames(a={"p": (1, 1)}), "auto", "float32")

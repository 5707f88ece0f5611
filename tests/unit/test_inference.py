"""Emotions of utterances with whatever modalities they have, by systems whose answer is known by hand."""

import numpy as np
import pytest
import torch

from ifmmin import inference
from ifmmin.errors import UserError
from ifmmin.nn.systems import Prediction

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

    def vital(self, encoded):
        return {}


class Pairs(Sums):
    knows = ("av",)


def model(system=None, name="m", classes=("x", "y"), mean=0.0, std=1.0, temperature=1.0, **extractors):
    scaling = (np.full(2, mean, np.float32), np.full(2, std, np.float32))
    temperatures = dict.fromkeys(Sums.knows, temperature)
    sizes = {"a": 2, "v": 1, "t": 3}
    return inference.Model(name, system or Sums(), CPU, sizes, classes, scaling, temperatures, extractors)


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
            "utterance 'p' has no modality; expected one at least. Leave it out, or give its frames.",
        ),
        (
            frames(a={"p": (1, 3)}),
            "av",
            "utterance 'p' has {a}; expected {a,v}. Leave it out, or give its frames.",
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
    inference.check([model(a="x 1"), model()], {"a": 2, "t": 3}, {"a": "x 1", "t": "y"})
    with pytest.raises(UserError, match=r"^m: takes 2 numbers a frame of a; the input has 7\. "):
        inference.check([model()], {"a": 7}, {})
    with pytest.raises(UserError, match=r"^n: classes are y, x; those of m are x, y\. "):
        inference.check([model(), model(name="n", classes=("y", "x"))], {}, {})
    with pytest.raises(
        UserError, match=r"was trained on frames of a made by x 1; the input's were made by x 2"
    ):
        inference.check([model(a="x 1")], {"a": 2}, {"a": "x 2"})

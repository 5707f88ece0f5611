"""Predictions as a table."""

import numpy as np
import pytest
import torch

from ifmmin.nn.protocol import Prediction
from ifmmin.training import tabulation
from ifmmin.training.batches import Corpus


@pytest.fixture
def pair():
    """Three utterances of classes 0, 2, 1; the third and the first are tested, in this order."""
    rows = {"train": torch.tensor([1]), "test": torch.tensor([2, 0])}
    ids = np.array(["x", "y", "z"], dtype=object)
    return Corpus({}, torch.tensor([0, 2, 1]), rows, ids, ["p", "q", "r"])


def test_the_table_keeps_the_order_and_predicts_the_largest_logit(pair):
    O = torch.tensor([[0.0, 2.0, 1.0], [3.0, 1.0, 1.0]])
    predicted = {"t": Prediction(O, None), "avt": Prediction(-O, None)}

    table, H_prime = tabulation.tables(predicted, pair, "test")

    assert list(table.columns)[:4] == ["utterance_id", "condition", "label", "predicted"]
    assert table.to_dict("list") == {
        "utterance_id": ["z", "x", "z", "x"],
        "condition": ["t", "t", "avt", "avt"],
        "label": [1, 0, 1, 0],
        "predicted": [1, 0, 0, 1],
        "logit_p": [0.0, 3.0, -0.0, -3.0],
        "logit_q": [2.0, 1.0, -2.0, -1.0],
        "logit_r": [1.0, 1.0, -1.0, -1.0],
    }
    assert len(H_prime) == 0


def test_invariant_features_have_the_order_of_the_table(pair):
    O = torch.zeros(2, 3)
    predicted = {
        "a": Prediction(O, torch.tensor([[1.0], [2.0]])),
        "v": Prediction(O, torch.tensor([[3.0], [4.0]])),
    }

    table, H_prime = tabulation.tables(predicted, pair, "test")

    np.testing.assert_array_equal(H_prime, [[1], [2], [3], [4]])
    assert list(zip(table["condition"], table["utterance_id"], strict=True))[2] == ("v", "z")

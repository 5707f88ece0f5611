"""Predictions laid out as a table."""

import numpy as np
import pandas as pd
import torch

from ifmmin import evaluating
from ifmmin.nn.systems import Prediction

TEST = pd.DataFrame({"utterance_id": ["y", "x"], "label": [1, 0]}, index=[7, 3])


def test_predictions_keep_the_order_of_conditions_and_utterances_and_name_the_largest_logit():
    O = torch.tensor([[0.0, 2.0, 1.0], [3.0, 1.0, 1.0]])
    predicted = {"t": Prediction(O, None), "avt": Prediction(-O, None)}

    table, H_prime = evaluating.tables(predicted, TEST, ["p", "q", "r"])

    assert table.to_dict("list") == {
        "utterance_id": ["y", "x", "y", "x"],
        "condition": ["t", "t", "avt", "avt"],
        "label": [1, 0, 1, 0],
        "predicted": [1, 0, 0, 1],
        "logit_p": [0.0, 3.0, -0.0, -3.0],
        "logit_q": [2.0, 1.0, -2.0, -1.0],
        "logit_r": [1.0, 1.0, -1.0, -1.0],
    }
    assert len(H_prime) == 0


def test_invariant_features_stand_in_the_order_of_the_table():
    O = torch.zeros(2, 2)
    predicted = {
        "a": Prediction(O, torch.tensor([[1.0], [2.0]])),
        "v": Prediction(O, torch.tensor([[3.0], [4.0]])),
    }

    table, H_prime = evaluating.tables(predicted, TEST, ["p", "q"])

    np.testing.assert_array_equal(H_prime, [[1], [2], [3], [4]])
    assert list(zip(table["condition"], table["utterance_id"], strict=True))[2] == ("v", "y")

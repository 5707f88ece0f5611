"""From predictions to the tables of artifacts. Pure."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.nn.systems import Prediction


def tables(
    predicted: Mapping[str, Prediction], test: pd.DataFrame, classes: Sequence[str]
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Lay predictions out, a line for each condition and utterance.

    Args:
        predicted: condition to prediction of n utterances.
        test: utterance_id and label of those utterances, in the same order.
        classes: class names in label order.

    Returns:
        The table of artifacts/predictions.py, and H' (rows, 3 x hidden) float32 in its order; no rows where a
        system has none.
    """
    parts = []
    for condition, prediction in predicted.items():
        logits = pd.DataFrame(prediction.O.cpu().numpy(), columns=[f"logit_{name}" for name in classes])
        keys = test[["utterance_id", "label"]].reset_index(drop=True)
        keys.insert(1, "condition", condition)
        keys["predicted"] = logits.to_numpy().argmax(1)
        parts.append(pd.concat([keys, logits], axis=1))
    features = [p.H_prime.cpu().numpy() for p in predicted.values() if p.H_prime is not None]
    return pd.concat(parts, ignore_index=True), np.concatenate(features) if features else np.empty(
        (0, 0), np.float32
    )

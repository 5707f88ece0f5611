"""From predictions to the tables of artifacts. Pure."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.batches import Corpus
from ifmmin.nn.systems import Prediction
from ifmmin.terms import LOGIT


def tables(
    predicted: Mapping[str, Prediction], corpus: Corpus, role: str
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Lay predictions out, a line for each condition and utterance.

    Args:
        predicted: condition to prediction of the n utterances of a role.
        corpus: whose utterances they are.
        role: train, validation or test.

    Returns:
        The table of artifacts/predictions.py, and H' (rows, 3 x hidden) float32 in its order; no rows where a
        system has none.
    """
    rows = corpus.rows[role].numpy()
    keys = pd.DataFrame({"utterance_id": corpus.utterance_ids[rows], "label": corpus.y.cpu().numpy()[rows]})
    parts = []
    for condition, prediction in predicted.items():
        logits = pd.DataFrame(prediction.O.cpu().numpy(), columns=[LOGIT + name for name in corpus.classes])
        part = keys.assign(condition=condition, predicted=logits.to_numpy().argmax(1))
        parts.append(pd.concat([part[["utterance_id", "condition", "label", "predicted"]], logits], axis=1))
    features = [p.H_prime.cpu().numpy() for p in predicted.values() if p.H_prime is not None]
    H_prime = np.concatenate(features) if features else np.empty((0, 0), np.float32)
    return pd.concat(parts, ignore_index=True), H_prime

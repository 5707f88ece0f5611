"""Tables from predictions. No I/O."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.core.terms import LOGIT
from ifmmin.nn.protocol import Prediction
from ifmmin.training.batches import Corpus


def tables(
    predictions: Mapping[str, Prediction], corpus: Corpus, role: str
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Tabulate predictions: one row per condition and utterance.

    Args:
        predictions: condition to prediction of the n utterances of a role.
        corpus: the fold with these utterances.
        role: train, validation or test.

    Returns:
        The table (format: evaluation/predictions.py), and the invariant features H' (rows, 3 x hidden)
        float32 in the same order; (0, 0) if the system has none.
    """
    rows = corpus.rows[role].numpy()
    keys = pd.DataFrame({"utterance_id": corpus.utterance_ids[rows], "label": corpus.y.cpu().numpy()[rows]})
    tables = []
    for condition, prediction in predictions.items():
        logits = pd.DataFrame(prediction.O.cpu().numpy(), columns=[LOGIT + name for name in corpus.classes])
        table = keys.assign(condition=condition, predicted=logits.to_numpy().argmax(1))
        tables.append(pd.concat([table[["utterance_id", "condition", "label", "predicted"]], logits], axis=1))
    features = [p.H_prime.cpu().numpy() for p in predictions.values() if p.H_prime is not None]
    H_prime = np.concatenate(features) if features else np.empty((0, 0), np.float32)
    return pd.concat(tables, ignore_index=True), H_prime

"""Tables from predictions. No I/O."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.core.terms import CONDITIONS, FULL, LOGIT
from ifmmin.nn.protocol import Prediction, System
from ifmmin.training.batches import Corpus
from ifmmin.training.prediction import predict


def predicted(
    system: System, corpus: Corpus, role: str, precision: str
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Predict the utterances of a role in the six conditions and from the full input, and tabulate that.

    Args:
        system: the system, on the device of the corpus.
        corpus: the fold.
        role: train, validation or test.
        precision: one of devices.PRECISIONS.

    Returns:
        As `tables`.
    """
    by_condition, _ = predict(system, corpus, role, (*CONDITIONS, FULL), precision)
    return tables(by_condition, corpus, role)


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

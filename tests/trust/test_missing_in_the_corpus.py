"""An all-zero sequence counts as a missing modality in training, evaluation and prediction."""

import numpy as np
import pandas as pd
import pytest

from conftest import speaker_of
from ifmmin.core.terms import CONDITIONS
from ifmmin.deploy import api, inference
from ifmmin.evaluation import predictions
from ifmmin.pack import raw
from ifmmin.training.calibration import probabilities
from trust import small
from trust.conftest import TEST


@pytest.fixture
def with_missing(pack_of):
    """Return a function that makes a pack with an all-zero v, a or t in a test and a training utterance."""

    def new(length=1):
        pack = pack_of()
        tested = [i for i in pack.ids if speaker_of(i) == TEST]
        trained = [i for i in pack.ids if i.startswith("Ses02")]
        for m, (test_id, train_id) in zip("vat", zip(tested, trained, strict=False), strict=False):
            for utterance_id in (test_id, train_id):
                frames = pack.x[m][utterance_id]
                pack.x[m][utterance_id] = np.zeros_like(
                    np.resize(frames, (len(frames) * length, frames.shape[1]))
                )
        return pack, dict(zip(tested, "vat", strict=False))

    return new


@pytest.mark.parametrize("name", small.SYSTEMS)
def test_evaluate_and_predict_agree_if_a_modality_is_missing(stages, with_missing, name):
    """Evaluate in a condition gives what predict gives in the condition without the missing modality."""
    pack, missing = with_missing()
    run = stages().corpus(pack).make(name)
    run.evaluate(name)
    evaluated, classes, _ = predictions.read(run.path(name, "predictions"))
    [model] = api.load(run.path(name, "weights"))._members
    uncalibrated = model._replace(temperatures=dict.fromkeys(model.temperatures, 1.0))
    [frames] = raw.read_batches(raw.locate([str(pack.folder)])[0], 100)

    for utterance_id, m in missing.items():
        single = {k: {utterance_id: batch[utterance_id]} for k, batch in frames.items()}
        for condition in (c for c in CONDITIONS if m in c and len(c) == 2):
            available = condition.replace(m, "")
            predicted = inference.emotions([uncalibrated], single, available, "float32")
            [row] = evaluated.query("utterance_id == @utterance_id and condition == @condition").index
            logits = evaluated.loc[[row], [f"logit_{c}" for c in classes]].to_numpy()
            expected = predicted[[f"p_{c}" for c in classes]].to_numpy()
            np.testing.assert_allclose(probabilities(logits), expected, atol=1e-6)


@pytest.mark.parametrize("name", small.ALL)
def test_the_length_of_an_all_zero_sequence_has_no_effect(stages, with_missing, name):
    short, long = (stages(f"of {n}").corpus(with_missing(n)[0]).make(name) for n in (1, 3))

    assert short.bytes(name) == long.bytes(name)


def test_the_scaling_ignores_all_zero_sequences(stages, with_missing):
    """The mean is over the available training frames."""
    pack, _ = with_missing()
    run = stages().corpus(pack)
    trained = [pack.x["a"][i] for i in pack.ids if i.startswith("Ses02") and pack.x["a"][i].any()]

    scaling = pd.read_json(run.folder / "folds" / "1_scaling.json")

    np.testing.assert_allclose(scaling["mean"], np.concatenate(trained).astype(np.float64).mean(0), rtol=1e-6)


def test_systems_train_on_a_corpus_with_only_one_modality(stages, pack_of):
    pack = pack_of()
    for m in "va":
        pack.x[m] = {i: np.zeros_like(x) for i, x in pack.x[m].items()}
    run = stages().corpus(pack)
    for name in ("if_mmin", "mctn"):
        run.make(name).evaluate(name)

        table, classes, _ = predictions.read(run.path(name, "predictions"))

        both_missing = table[table["condition"] == "av"]
        assert both_missing[[f"logit_{c}" for c in classes]].drop_duplicates().shape[0] == 1

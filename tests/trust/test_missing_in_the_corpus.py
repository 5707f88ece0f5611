"""An all-zero sequence is a missing modality, in training, in evaluation and in prediction alike."""

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
    """A pack in which some utterances, one of them of the test speaker, have an all-zero v, a or t."""

    def made(length=1):
        pack = pack_of()
        tested = [i for i in pack.ids if speaker_of(i) == TEST]
        trained = [i for i in pack.ids if i.startswith("Ses02")]
        for m, (own, other) in zip("vat", zip(tested, trained, strict=False), strict=False):
            for utterance_id in (own, other):
                frames = pack.x[m][utterance_id]
                pack.x[m][utterance_id] = np.zeros_like(
                    np.resize(frames, (len(frames) * length, frames.shape[1]))
                )
        return pack, dict(zip(tested, "vat", strict=False))

    return made


@pytest.mark.parametrize("name", small.SYSTEMS)
def test_evaluate_and_predict_give_one_answer_to_an_utterance_that_misses_a_modality(
    stages, with_missing, name
):
    """In a condition, evaluate reads what is left of it; so does predict, which calls it by what is left."""
    pack, missing = with_missing()
    run = stages().corpus(pack).make(name)
    run.evaluate(name)
    evaluated, classes, _ = predictions.read(run.path(name, "predictions"))
    [model] = api.load(run.path(name, "weights"))._members
    uncalibrated = model._replace(temperatures=dict.fromkeys(model.temperatures, 1.0))
    [frames] = raw.read_batches(raw.locate([str(pack.folder)])[0], 100)

    for utterance_id, m in missing.items():
        own = {k: {utterance_id: of[utterance_id]} for k, of in frames.items()}
        for condition in (c for c in CONDITIONS if m in c and len(c) == 2):
            left = condition.replace(m, "")
            told = inference.emotions([uncalibrated], own, left, "float32")
            [row] = evaluated.query("utterance_id == @utterance_id and condition == @condition").index
            logits = evaluated.loc[[row], [f"logit_{c}" for c in classes]].to_numpy()
            expected = told[[f"p_{c}" for c in classes]].to_numpy()
            np.testing.assert_allclose(probabilities(logits), expected, atol=1e-6)


@pytest.mark.parametrize("name", small.ALL)
def test_the_length_of_an_all_zero_sequence_reaches_nothing(stages, with_missing, name):
    short, long = (stages(f"of {n}").corpus(with_missing(n)[0]).make(name) for n in (1, 3))

    assert short.bytes(name) == long.bytes(name)


def test_the_scaling_leaves_missing_sound_out(stages, with_missing):
    """The mean over the training frames that there are."""
    pack, _ = with_missing()
    run = stages().corpus(pack)
    trained = [pack.x["a"][i] for i in pack.ids if i.startswith("Ses02") and pack.x["a"][i].any()]

    found = pd.read_json(run.folder / "folds" / "1_scaling.json")

    np.testing.assert_allclose(found["mean"], np.concatenate(trained).astype(np.float64).mean(0), rtol=1e-6)


def test_a_corpus_without_any_frame_of_a_modality_is_trained_and_evaluated(stages, pack_of):
    pack = pack_of()
    for m in "va":
        pack.x[m] = {i: np.zeros_like(x) for i, x in pack.x[m].items()}
    run = stages().corpus(pack)
    for name in ("if_mmin", "mctn"):
        run.make(name).evaluate(name)

        table, classes, _ = predictions.read(run.path(name, "predictions"))

        silent = table[table["condition"] == "av"]
        assert silent[[f"logit_{c}" for c in classes]].drop_duplicates().shape[0] == 1

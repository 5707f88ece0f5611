"""Data that a stage must not see changes no bit of its output.

Each test has a control that makes the stage leak on purpose and checks that the leak is detected.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import SIZES, speaker_of
from ifmmin.core.terms import CONDITIONS, FULL
from ifmmin.corpus import splitting
from ifmmin.nn.sequences import Sequences
from ifmmin.training import loop
from ifmmin.training.prediction import predict
from trust import small
from trust.conftest import FOLD, TEST, TRAINING, VALIDATION

each_system = pytest.mark.parametrize("name", small.SYSTEMS)
each_training = pytest.mark.parametrize("name", small.ALL)


def changed(pack, speaker):
    """Replace labels, frames and lengths of the utterances of a speaker or session."""
    draw = np.random.default_rng(7)
    ids = [utterance_id for utterance_id in pack.ids if speaker_of(utterance_id).startswith(speaker)]
    for m, size in SIZES.items():
        for utterance_id in ids:
            frames = 1e3 + 1e4 * draw.standard_normal((draw.integers(1, 9), size))
            pack.x[m][utterance_id] = frames.astype(np.float32)
    moved = [pack.labels[utterance_id] for utterance_id in (*ids[1:], ids[0])]
    pack.labels |= dict(zip(ids, moved, strict=True))
    return pack


@pytest.fixture
def stages_of(stages, pack_of):
    """Return a function that ingests and splits the pack, changed for a speaker if given."""

    def new(name, speaker=None):
        pack = pack_of(f"pack of {name}")
        return stages(name).corpus(changed(pack, speaker) if speaker else pack)

    return new


# Scaling.


def scaling(run):
    return (run.folder / "folds" / f"{FOLD}_scaling.json").read_bytes()


@pytest.mark.parametrize("speaker", [TEST, VALIDATION])
def test_test_and_validation_frames_do_not_affect_the_scaling(stages_of, speaker):
    assert scaling(stages_of("original")) == scaling(stages_of("changed", speaker))


def test_training_frames_affect_the_scaling(stages_of):
    assert scaling(stages_of("original")) != scaling(stages_of("changed", TRAINING))


@pytest.mark.parametrize("speaker", [TEST, VALIDATION])
def test_scaling_on_all_speakers_is_detected(stages_of, monkeypatch, speaker):
    fit = splitting.fit_scaling
    monkeypatch.setattr(
        splitting, "fit_scaling", lambda frames, index, roles: fit(frames, index, roles.assign(role="train"))
    )

    assert scaling(stages_of("original")) != scaling(stages_of("changed", speaker))


# Training.


def leaking(monkeypatch, role, *sources):
    """Make training use the utterances of the source roles as those of a role."""
    fit = loop.fit

    def leaky_fit(system, corpus, *args, **options):
        rows = torch.cat([corpus.rows[r] for r in sources]).sort()[0]
        return fit(system, corpus._replace(rows={**corpus.rows, role: rows}), *args, **options)

    monkeypatch.setattr(loop, "fit", leaky_fit)


@each_training
def test_the_test_speaker_changes_no_bit_of_weights_and_history(stages_of, name):
    """Its frames and labels neither train, select an epoch nor fit a temperature; pretraining included."""
    original, other = stages_of("original").make(name), stages_of("changed", TEST).make(name)

    assert original.bytes(name) == other.bytes(name)


@each_training
@pytest.mark.parametrize(
    ("role", "sources"),
    [("validation", ["validation", "test"]), ("train", ["train", "test"])],
    ids=["selected on test", "trained on test"],
)
def test_training_that_sees_the_test_speaker_is_detected(stages_of, monkeypatch, name, role, sources):
    leaking(monkeypatch, role, *sources)

    original, other = stages_of("original").make(name), stages_of("changed", TEST).make(name)

    assert original.bytes(name) != other.bytes(name)


@pytest.mark.parametrize("kind", ["fusion", "invariant"])
def test_pretraining_that_sees_the_test_speaker_is_detected(stages_of, monkeypatch, kind):
    """Only pretraining leaks; the system that starts from its encoders changes too."""
    name = next(name for name in small.SYSTEMS if kind == small.load("systems", name).PRETRAINING)
    runs = [stages_of("original"), stages_of("changed", TEST)]
    with monkeypatch.context() as patch:
        leaking(patch, "train", "train", "test")
        for run in runs:
            run.pretrain(kind)
    for run in runs:
        run.train(name)

    encoders, models = zip(*((run.bytes(kind), run.bytes(name)[:2]) for run in runs), strict=True)
    assert encoders[0] != encoders[1]
    assert models[0] != models[1]


def trained_losses(run, name):
    history = pd.read_csv(run.path(name, "history.csv"), dtype=str)
    return history[[column for column in history if column.startswith("L")]]


@each_training
def test_the_validation_speaker_changes_no_bit_of_a_training_loss(stages_of, name):
    """The validation speaker does select epochs, so both runs use the encoders of the original pack."""
    original, other = stages_of("original").make(name), stages_of("changed", VALIDATION)
    if name in small.PRETRAININGS:
        other.pretrain(name)
    else:
        kind = small.load("systems", name).PRETRAINING
        if kind:
            other.path(kind, "").mkdir()
            other.path(kind, "weights").write_bytes(original.path(kind, "weights").read_bytes())
        other.train(name)

    pd.testing.assert_frame_equal(
        trained_losses(original, name), trained_losses(other, name), check_exact=True
    )
    assert original.path(name, "history.csv").read_bytes() != other.path(name, "history.csv").read_bytes()


# Missing modalities.


def junk(x, defect):
    """Sequences with other lengths and random or NaN frames, in place of a missing modality."""
    n, size = len(x.lengths), x.frames.shape[1]
    lengths = torch.arange(n) % 4 + (20 if defect == "long" else 1)
    frames = 1e4 * torch.randn(int(lengths.sum()), size, generator=torch.Generator().manual_seed(3))
    if defect == "nan":
        frames[:] = torch.nan
    return Sequences(frames, lengths.cumsum(0) - lengths, lengths)


def logits(system, corpus, condition):
    """Logits of the test utterances; None if the system does not predict this condition."""
    predicted, _ = predict(system, corpus, "test", [condition], "float32")
    return predicted[condition].O if condition in predicted else None


def without(corpus, condition, defect="long"):
    """The corpus with junk for the modalities that a condition lacks."""
    return corpus._replace(x={m: x if m in condition else junk(x, defect) for m, x in corpus.x.items()})


def prepared(name, corpus):
    """A system in evaluation mode with random, nonzero weights."""
    system = small.distinct(small.system(name)).eval()
    with torch.no_grad():
        system.precompute_targets(corpus.select(corpus.rows["train"]))
    return system


@each_system
@pytest.mark.parametrize("defect", ["long", "short", "nan"])
def test_a_missing_modality_changes_no_bit_of_a_prediction(corpus, name, defect):
    system = prepared(name, corpus)

    for condition in CONDITIONS:
        assert torch.equal(
            logits(system, corpus, condition), logits(system, without(corpus, condition, defect), condition)
        ), condition


@each_system
def test_an_available_modality_changes_the_prediction(corpus, name):
    system = prepared(name, corpus)

    for condition in CONDITIONS:
        for m in condition:
            other = corpus._replace(x={**corpus.x, m: junk(corpus.x[m], "long")})
            assert not torch.equal(logits(system, corpus, condition), logits(system, other, condition))


@each_system
def test_a_system_that_reads_a_missing_modality_is_detected(corpus, name, monkeypatch):
    """It predicts each condition from another one that has a missing modality."""
    system = prepared(name, corpus)
    honest = system.predict
    cheats = {"a": "av", "v": "vt", "t": "at", "av": "vt", "at": "av", "vt": "at"}
    monkeypatch.setattr(
        system,
        "predict",
        lambda encoded, conditions: {c: honest(encoded, [cheats[c]])[cheats[c]] for c in conditions},
    )

    for condition in CONDITIONS:
        assert not torch.equal(
            logits(system, corpus, condition), logits(system, without(corpus, condition), condition)
        ), condition


@each_system
def test_the_full_input_reads_all_three_modalities(corpus, name):
    system = prepared(name, corpus)
    expected = logits(system, corpus, FULL)

    for m in "avt":
        if expected is not None:
            other = corpus._replace(x={**corpus.x, m: junk(corpus.x[m], "long")})
            assert not torch.equal(expected, logits(system, other, FULL))

"""What a stage must not see does not move a bit of what it makes; and each test fails where it does see it.

A leak is made by letting the stage look, by the test's own hand, where it should not.
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


def changed(pack, who):
    """Give the utterances of a speaker or session other labels and wildly other frames, of other lengths."""
    draw = np.random.default_rng(7)
    ids = [utterance_id for utterance_id in pack.ids if speaker_of(utterance_id).startswith(who)]
    for m, size in SIZES.items():
        for utterance_id in ids:
            frames = 1e3 + 1e4 * draw.standard_normal((draw.integers(1, 9), size))
            pack.x[m][utterance_id] = frames.astype(np.float32)
    moved = [pack.labels[utterance_id] for utterance_id in (*ids[1:], ids[0])]
    pack.labels |= dict(zip(ids, moved, strict=True))
    return pack


@pytest.fixture
def stages_of(stages, pack_of):
    """Give a function that ingests and splits the pack, or the pack changed for a speaker."""

    def new(name, who=None):
        pack = pack_of(f"pack of {name}")
        return stages(name).corpus(changed(pack, who) if who else pack)

    return new


# Scaling.


def scaling(run):
    return (run.folder / "folds" / f"{FOLD}_scaling.json").read_bytes()


@pytest.mark.parametrize("who", [TEST, VALIDATION])
def test_frames_of_test_and_validation_speakers_do_not_touch_the_scaling(stages_of, who):
    assert scaling(stages_of("as it is")) == scaling(stages_of("changed", who))


def test_frames_of_a_training_speaker_do_touch_it(stages_of):
    assert scaling(stages_of("as it is")) != scaling(stages_of("changed", TRAINING))


@pytest.mark.parametrize("who", [TEST, VALIDATION])
def test_a_scaling_of_all_speakers_would_be_found(stages_of, monkeypatch, who):
    fit = splitting.fit_scaling
    monkeypatch.setattr(
        splitting, "fit_scaling", lambda frames, index, roles: fit(frames, index, roles.assign(role="train"))
    )

    assert scaling(stages_of("as it is")) != scaling(stages_of("changed", who))


# Training.


def leaking(monkeypatch, role, *also):
    """Let a training see, as utterances of a role, those of other roles too."""
    fit = loop.fit

    def seeing(system, corpus, *args, **options):
        rows = torch.cat([corpus.rows[of] for of in also]).sort()[0]
        return fit(system, corpus._replace(rows={**corpus.rows, role: rows}), *args, **options)

    monkeypatch.setattr(loop, "fit", seeing)


@each_training
def test_the_test_speaker_moves_no_bit_of_weights_and_history(stages_of, name):
    """Frames and labels: neither trains, picks an epoch or fits a temperature, in pretraining as after it."""
    as_it_is, other = stages_of("as it is").make(name), stages_of("changed", TEST).make(name)

    assert as_it_is.bytes(name) == other.bytes(name)


@each_training
@pytest.mark.parametrize(
    ("role", "also"),
    [("validation", ["validation", "test"]), ("train", ["train", "test"])],
    ids=["picked on test too", "trained on test too"],
)
def test_a_training_that_sees_the_test_speaker_would_be_found(stages_of, monkeypatch, name, role, also):
    leaking(monkeypatch, role, *also)

    as_it_is, other = stages_of("as it is").make(name), stages_of("changed", TEST).make(name)

    assert as_it_is.bytes(name) != other.bytes(name)


@pytest.mark.parametrize("kind", small.PRETRAININGS)
def test_encoders_alone_that_saw_the_test_speaker_would_be_found(stages_of, monkeypatch, kind):
    """The leak is in pretraining only: the system that starts from them is another too."""
    name = next(name for name in small.SYSTEMS if kind == small.load("systems", name).PRETRAINING)
    runs = [stages_of("as it is"), stages_of("changed", TEST)]
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
def test_the_validation_speaker_moves_no_bit_of_a_training_loss(stages_of, name):
    """It picks epochs; so encoders are those of the unchanged pack here."""
    as_it_is, other = stages_of("as it is").make(name), stages_of("changed", VALIDATION)
    if name in small.PRETRAININGS:
        other.pretrain(name)
    else:
        kind = small.load("systems", name).PRETRAINING
        if kind:
            other.path(kind, "").mkdir()
            other.path(kind, "weights").write_bytes(as_it_is.path(kind, "weights").read_bytes())
        other.train(name)

    pd.testing.assert_frame_equal(
        trained_losses(as_it_is, name), trained_losses(other, name), check_exact=True
    )
    assert as_it_is.path(name, "history.csv").read_bytes() != other.path(name, "history.csv").read_bytes()


# Missing modalities.


def junk(x, how):
    """Sequences of a modality that is missing: other lengths, and frames that are wild, or no numbers."""
    n, size = len(x.lengths), x.frames.shape[1]
    lengths = torch.arange(n) % 4 + (20 if how == "long" else 1)
    frames = 1e4 * torch.randn(int(lengths.sum()), size, generator=torch.Generator().manual_seed(3))
    if how == "nan":
        frames[:] = torch.nan
    return Sequences(frames, lengths.cumsum(0) - lengths, lengths)


def logits(system, corpus, condition):
    """Logits of the test utterances; None where the system does not predict from that input."""
    predicted, _ = predict(system, corpus, "test", [condition], "float32")
    return predicted[condition].O if condition in predicted else None


def without(corpus, condition, how="long"):
    """The corpus with junk for what a condition misses."""
    return corpus._replace(x={m: x if m in condition else junk(x, how) for m, x in corpus.x.items()})


def prepared(name, corpus):
    """A system whose weights are all different from zero, and each from the others."""
    system = small.distinct(small.system(name)).eval()
    with torch.no_grad():
        system.precompute_targets(corpus.select(corpus.rows["train"]))
    return system


@each_system
@pytest.mark.parametrize("how", ["long", "short", "nan"])
def test_no_bit_of_a_prediction_depends_on_what_is_missing(corpus, name, how):
    """The six conditions one by one, of each system."""
    system = prepared(name, corpus)

    for condition in CONDITIONS:
        assert torch.equal(
            logits(system, corpus, condition), logits(system, without(corpus, condition, how), condition)
        ), condition


@each_system
def test_what_is_there_does_change_the_prediction(corpus, name):
    system = prepared(name, corpus)

    for condition in CONDITIONS:
        for m in condition:
            other = corpus._replace(x={**corpus.x, m: junk(corpus.x[m], "long")})
            assert not torch.equal(logits(system, corpus, condition), logits(system, other, condition))


@each_system
def test_a_system_that_reads_one_modality_more_would_be_found(corpus, name, monkeypatch):
    """It answers for each condition from another that has what the first misses."""
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
def test_the_full_input_reads_all_three(corpus, name):
    system = prepared(name, corpus)
    whole = logits(system, corpus, FULL)

    for m in "avt":
        if whole is not None:
            other = corpus._replace(x={**corpus.x, m: junk(corpus.x[m], "long")})
            assert not torch.equal(whole, logits(system, other, FULL))

"""Features of any size: a training learns or stops at once, and says what blew up."""

import re

import numpy as np
import pytest

from ifmmin.core.terms import CONDITIONS, FULL
from ifmmin.training import loop
from ifmmin.training.prediction import TrainingError, predict
from trust import small

SETTINGS = loop.Settings(
    epochs_constant=4,
    epochs_decay=1,
    batch=6,
    lr=0.01,
    beta1=0.9,
    clip=1.0,
    on_collapse="warn",
    threads=1,
)
SENTENCE = re.compile(r"(L(_\w+)? is (nan|inf|-inf)(, )?)+ in epoch 1, step 1; expected a finite loss\. .*\.")

WITH_DISTANCE = ("if_mmin", "if_mmin_no_cascade", "if_mmin_no_inv", "mmin", "mmin_no_cycle")
"""Systems that compare features with those of a teacher."""


def scaled(corpus, scale):
    """The corpus with all frames of all modalities times a number."""
    x = {m: of._replace(frames=of.frames * scale) for m, of in corpus.x.items()}
    return corpus._replace(x=x)


def fitted(name, corpus, **changes):
    system = small.network(name, **changes)
    how = {"seed": 0, "precision": "float32", "on_epoch": lambda row: None}
    return system, loop.fit(system, corpus, SETTINGS, **how).history


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1, 1e2, 1e4])
@pytest.mark.parametrize("name", small.ALL)
def test_features_of_this_size_train(corpus, name, scale):
    """The loss falls from its first epoch on; of tiny features, where there is nothing to see, it stays."""
    corpus = scaled(corpus, scale)
    system, history = fitted(name, corpus)

    predicted, _ = predict(system, corpus, "test", (*CONDITIONS, FULL), "float32")
    assert np.isfinite(history.to_numpy()).all()
    assert all(x.isfinite().all() for x in system.state_dict().values())
    assert all(p.O.isfinite().all() for p in predicted.values())
    assert history["L"].iloc[1:].min() < history["L"].iloc[0] * (1 if scale >= 1 else 1.02)


@pytest.mark.parametrize("name", WITH_DISTANCE)
def test_features_beyond_all_measure_stop_at_the_first_step_with_one_sentence(corpus, name):
    """The square of their distance is infinite."""
    with pytest.raises(TrainingError) as stopped:
        fitted(name, scaled(corpus, 1e25))

    assert SENTENCE.fullmatch(str(stopped.value))


@pytest.mark.parametrize("name", sorted({*small.ALL} - {*WITH_DISTANCE}))
def test_without_a_distance_between_features_even_these_leave_finite_numbers(corpus, name):
    system, history = fitted(name, scaled(corpus, 1e25))

    assert np.isfinite(history.to_numpy()).all()
    assert all(x.isfinite().all() for x in system.state_dict().values())


def test_moments_of_unbounded_features_name_the_loss_that_blew_up(corpus):
    """Fifth powers of 1e8, squared, are beyond float32: L_cmd, which L holds, and not L_cls."""
    with pytest.raises(TrainingError) as stopped:
        fitted("invariant", scaled(corpus, 1e8), invariance_activation="leaky_relu")

    assert SENTENCE.fullmatch(str(stopped.value))
    assert re.match(r"L is (nan|inf), L_cmd is (nan|inf) in epoch 1, step 1;", str(stopped.value))

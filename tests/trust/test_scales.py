"""Features of any scale: training learns, or stops at once and names the loss that diverged."""

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
MESSAGE = re.compile(r"(L(_\w+)? is (nan|inf|-inf)(, )?)+ in epoch 1, step 1; expected a finite loss\. .*\.")

WITH_DISTANCE = ("if_mmin", "if_mmin_no_cascade", "if_mmin_no_inv", "mmin", "mmin_no_cycle")
"""Systems with a distance loss to teacher features."""


def scaled(corpus, scale):
    """The corpus with all frames multiplied by a factor."""
    x = {m: x._replace(frames=x.frames * scale) for m, x in corpus.x.items()}
    return corpus._replace(x=x)


def fitted(name, corpus, **changes):
    system = small.network(name, **changes)
    options = {"seed": 0, "precision": "float32", "on_epoch": lambda row: None}
    return system, loop.fit(system, corpus, SETTINGS, **options).history


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1, 1e2, 1e4])
@pytest.mark.parametrize("name", small.ALL)
def test_every_system_trains_on_features_of_scale_1e_6_to_1e4(corpus, name, scale):
    """The loss falls after the first epoch; tiny features carry no signal, and it only must not rise."""
    corpus = scaled(corpus, scale)
    system, history = fitted(name, corpus)

    predicted, _ = predict(system, corpus, "test", (*CONDITIONS, FULL), "float32")
    assert np.isfinite(history.to_numpy()).all()
    assert all(x.isfinite().all() for x in system.state_dict().values())
    assert all(p.O.isfinite().all() for p in predicted.values())
    assert history["L"].iloc[1:].min() < history["L"].iloc[0] * (1 if scale >= 1 else 1.02)


@pytest.mark.parametrize("name", WITH_DISTANCE)
def test_huge_features_stop_training_at_the_first_step(corpus, name):
    """Their squared distance is infinite, and the error message is one line."""
    with pytest.raises(TrainingError) as stopped:
        fitted(name, scaled(corpus, 1e25))

    assert MESSAGE.fullmatch(str(stopped.value))


@pytest.mark.parametrize("name", sorted({*small.ALL} - {*WITH_DISTANCE}))
def test_without_a_distance_loss_huge_features_stay_finite(corpus, name):
    system, history = fitted(name, scaled(corpus, 1e25))

    assert np.isfinite(history.to_numpy()).all()
    assert all(x.isfinite().all() for x in system.state_dict().values())


def test_diverging_moments_are_named_in_the_error(corpus):
    """Squared fifth powers of 1e8 overflow float32, so L_cmd and L diverge but L_cls does not."""
    with pytest.raises(TrainingError) as stopped:
        fitted("invariant", scaled(corpus, 1e8), invariance_activation="leaky_relu")

    assert MESSAGE.fullmatch(str(stopped.value))
    assert re.match(r"L is (nan|inf), L_cmd is (nan|inf) in epoch 1, step 1;", str(stopped.value))

"""The training loop: chosen epoch, random draws, errors and resuming."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from conftest import SIZES, needs_bf16
from ifmmin.core import scoring
from ifmmin.core.terms import CONDITIONS
from ifmmin.nn.protocol import CheckpointGroup, Prediction, SystemDefaults
from ifmmin.systems import mctn
from ifmmin.training import loop, seeding
from ifmmin.training.batches import draw_masks
from ifmmin.training.prediction import TrainingError, predict


@pytest.fixture
def fit_settings():
    def build(**changes):
        values = {
            "epochs_constant": 2,
            "epochs_decay": 1,
            "batch": 10,
            "lr": 0.01,
            "beta1": 0.5,
            "clip": 1.0,
            "on_collapse": "stop",
            "threads": 1,
        }
        return loop.Settings(**{**values, **changes})

    return build


@pytest.fixture
def fit(corpus, fit_settings):
    """Return a function that trains a system on the small corpus."""

    def train(system, seed=0, on_epoch=lambda row: None, **changes):
        torch.manual_seed(7)
        return loop.fit(
            system, corpus, fit_settings(**changes), seed=seed, precision="float32", on_epoch=on_epoch
        )

    return train


class Scripted(SystemDefaults, nn.Module):
    """A system that is right for a given number of validation utterances in each epoch."""

    def __init__(self, corpus, right, *, loss=None, std=None, logit=1.0):
        """Take how many of 12 utterances are right in each epoch, and the std of feature h_a by epoch."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        self.y = corpus.y[corpus.rows["validation"]]
        self.right, self.loss, self.std, self.logit = right, loss or {}, std or {}, logit
        self.events = []

    def networks(self):
        """Return the system as a single network."""
        return {"all": self}

    def checkpoint_groups(self):
        """Return a single group; two conditions select its epoch."""
        return {"": CheckpointGroup(("a", "v"), self.state_dict())}

    def precompute_targets(self, x):
        """The position of the first frame, which identifies an utterance."""
        self.events.append(("targets", self.training, torch.is_grad_enabled(), self.weight.detach().clone()))
        return {"start": x["a"].start}

    def training_losses(self, batch):
        """A quadratic loss, the scripted loss of this epoch and step, and the mean label."""
        self.epoch.fill_(batch.epoch)
        step = sum(e[0] == "batch" and e[1].epoch == batch.epoch for e in self.events) + 1
        self.events.append(("batch", batch))
        value = self.loss.get((batch.epoch, step), 0.0)
        L = (self.weight - 1).square().sum()
        return {"L": L, "L_scripted": L.detach() * 0 + value, "L_label": batch.y.float().mean()}

    def encode(self, x):
        """Only the number of sequences matters."""
        return {"n": torch.zeros(len(x["a"].lengths))}

    def predict(self, encoded, conditions):
        """Right for the first validation utterances, wrong for the others."""
        del encoded
        return {c: Prediction(self._logits(self.right[int(self.epoch) - 1], c), None) for c in conditions}

    def _logits(self, right, condition):
        n = right[condition] if isinstance(right, dict) else right
        predicted = torch.where(torch.arange(12) < n, self.y, (self.y + 1) % 4)
        return self.logit * nn.functional.one_hot(predicted, 4).float()

    def monitored(self, encoded):
        """Unit 0 is constant; unit 1 alternates between -std and std."""
        sign = torch.arange(len(encoded["n"])) % 2 * 2.0 - 1
        std = self.std.get(int(self.epoch), 1.0)
        return {"h_a": torch.stack([torch.ones_like(sign), std * sign], 1)}

    def batches(self):
        """The batches seen, in order."""
        return [event[1] for event in self.events if event[0] == "batch"]


def test_the_first_best_epoch_is_chosen_and_its_weights_are_loaded(corpus, fit):
    """Epochs 2 and 3 tie."""
    system = Scripted(corpus, [4, 8, 8, 2])

    fitted = fit(system, epochs_constant=4, epochs_decay=0)

    assert list(fitted.history["chosen"]) == [0, 1, 0, 0]
    assert list(fitted.history["epoch"]) == [1, 2, 3, 4]
    np.testing.assert_allclose(fitted.history["validation_ua"], [4 / 12, 8 / 12, 8 / 12, 2 / 12])
    assert int(system.epoch) == 2


def test_the_final_weights_are_those_at_the_end_of_the_chosen_epoch(corpus, fit):
    system, shorter = Scripted(corpus, [4, 8, 2, 2]), Scripted(corpus, [4, 8])

    fit(system, epochs_constant=4, epochs_decay=0)
    fit(shorter, epochs_constant=2, epochs_decay=0)

    assert torch.equal(system.weight, shorter.weight)


def test_an_epoch_without_right_predictions_can_be_chosen(corpus, fit):
    fitted = fit(Scripted(corpus, [0, 0]), epochs_constant=2, epochs_decay=0)

    assert list(fitted.history["chosen"]) == [1, 0]


def test_validation_is_pooled_over_the_system_s_conditions(corpus, fit):
    """a: 12 of 12; v: 4 of 12, the first of each class. Pooled recall of each class: 4 of 6."""
    fitted = fit(Scripted(corpus, [{"a": 12, "v": 4}]), epochs_constant=1, epochs_decay=0)

    row = fitted.history.iloc[0]
    assert row["validation_wa"] == pytest.approx(16 / 24)
    assert row["validation_ua"] == pytest.approx(16 / 24)
    right, wrong = np.log(1 + 3 / np.e), np.log(np.e + 3)
    assert row["validation_L_cls"] == pytest.approx((16 * right + 8 * wrong) / 24, rel=1e-6)


def test_losses_are_means_over_utterances_not_over_batches(corpus, fit):
    """36 utterances in batches of 10, the last of 6. The labels 0 1 2 3 0 ... have mean 1.5."""
    fitted = fit(Scripted(corpus, [1]), epochs_constant=1, epochs_decay=0)

    assert fitted.history.loc[0, "L_label"] == pytest.approx(1.5)


def test_the_history_has_the_learning_rates_of_the_schedule(corpus, fit):
    """8, 8, then 2/3 and 1/3 of 8."""
    fitted = fit(Scripted(corpus, [1] * 4), epochs_constant=2, epochs_decay=2, lr=8.0)

    np.testing.assert_allclose(fitted.history["lr"], [8, 8, 16 / 3, 8 / 3])


def test_the_steps_of_an_epoch_use_its_learning_rate(corpus, fit):
    """Adam's first step equals the learning rate: 0.75 x 0.01 in the first of three epochs of decay."""
    weights = []
    system = Scripted(corpus, [1] * 3)

    fit(
        system,
        epochs_constant=0,
        epochs_decay=3,
        batch=36,
        on_epoch=lambda row: weights.append(system.weight.detach().clone()),
    )

    torch.testing.assert_close(weights[0], torch.full((2,), 0.0075), rtol=1e-4, atol=0)


def test_on_epoch_receives_each_row_of_the_history(corpus, fit):
    rows = []

    fitted = fit(Scripted(corpus, [1, 2, 3]), on_epoch=lambda row: rows.append(dict(row)))

    assert [row["epoch"] for row in rows] == [1, 2, 3]
    pd.testing.assert_frame_equal(pd.DataFrame(rows), fitted.history.drop(columns="chosen"))


# Masks and order.


def seen(system):
    """For each epoch, the utterances (by first frame) and their masks, in training order."""
    epochs = {}
    for batch in system.batches():
        for start, mask in zip(batch.x["a"].start.tolist(), batch.available.tolist(), strict=True):
            epochs.setdefault(batch.epoch, []).append((start, tuple(mask)))
    return epochs


def test_each_epoch_has_each_training_utterance_once_with_one_mask(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    starts = sorted(corpus.x["a"].start[corpus.rows["train"]].tolist())
    assert all(sorted(start for start, _ in epoch) == starts for epoch in seen(system).values())
    assert all(0 < sum(mask) < 3 for epoch in seen(system).values() for _, mask in epoch)


def test_masks_and_order_differ_between_epochs(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    epochs = seen(system)
    assert dict(epochs[1]) != dict(epochs[2])
    assert [s for s, _ in epochs[1]] != [s for s, _ in epochs[2]]


def test_masks_depend_on_the_seed_and_not_on_the_batch_size(corpus, fit):
    first, second, other = (Scripted(corpus, [1] * 3) for _ in range(3))

    fit(first, batch=10)
    fit(second, batch=7, lr=0.5)
    fit(other, seed=1)

    assert {e: dict(rows) for e, rows in seen(first).items()} == {e: dict(r) for e, r in seen(second).items()}
    assert {e: dict(rows) for e, rows in seen(first).items()} != {e: dict(r) for e, r in seen(other).items()}


def test_masks_do_not_depend_on_the_global_generator(corpus, fit_settings):
    first, second = Scripted(corpus, [1] * 3), Scripted(corpus, [1] * 3)
    for system, seed in ((first, 1), (second, 2)):
        torch.manual_seed(seed)
        loop.fit(system, corpus, fit_settings(), seed=0, precision="float32", on_epoch=lambda row: None)

    assert seen(first) == seen(second)


def test_a_batch_holds_labels_and_targets_of_its_utterances(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    by_start = dict(zip(corpus.x["a"].start.tolist(), corpus.y.tolist(), strict=True))
    for batch in system.batches():
        assert batch.targets["start"].tolist() == batch.x["a"].start.tolist()
        assert [by_start[start] for start in batch.x["a"].start.tolist()] == batch.y.tolist()


def test_targets_are_precomputed_once_in_evaluation_mode(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    calls = [event for event in system.events if event[0] == "targets"]
    assert system.events[0] is calls[0]
    assert len(calls) == 1
    _, training, gradient, weight = calls[0]
    assert not training
    assert not gradient
    assert torch.equal(weight, torch.zeros(2))


# Errors.


def test_a_non_finite_loss_stops_with_its_name_epoch_and_step(corpus, fit):
    system = Scripted(corpus, [1] * 3, loss={(2, 3): float("nan")})

    with pytest.raises(TrainingError, match="L_scripted is nan in epoch 2, step 3; expected a finite loss"):
        fit(system)


def test_a_non_finite_logit_stops_with_condition_and_role(corpus, fit):
    with pytest.raises(
        TrainingError, match="condition a: a logit of the validation utterances is not finite"
    ):
        fit(Scripted(corpus, [1] * 3, logit=float("inf")))


def test_too_few_training_utterances_stop_with_an_error(corpus, fit_settings):
    few = corpus._replace(rows={**corpus.rows, "train": torch.arange(1)})
    system = Scripted(few, [1] * 3)
    system.smallest_batch = 2

    with pytest.raises(TrainingError, match="no batch has 2 utterances"):
        loop.fit(system, few, fit_settings(), seed=0, precision="float32", on_epoch=lambda row: None)


def test_the_history_has_the_share_of_active_units_and_the_mean_std(corpus, fit):
    """One of two units varies, with std 0.25: half are active, and the mean std is 0.125."""
    fitted = fit(Scripted(corpus, [1], std={1: 0.25}), epochs_constant=1, epochs_decay=0)

    assert fitted.history.loc[0, "active_h_a"] == 0.5
    assert fitted.history.loc[0, "std_h_a"] == pytest.approx(0.125)


def test_a_feature_that_collapsed_at_the_chosen_epoch_is_an_error(corpus, fit):
    """Epoch 2 is chosen, and only epoch 2 has collapsed."""
    with pytest.raises(TrainingError, match=r"^h_a: one output for all 12 validation utterances"):
        fit(Scripted(corpus, [1, 5, 2], std={2: 0.0}))


def test_a_collapse_is_only_reported_if_on_collapse_is_warn(corpus, fit):
    fitted = fit(Scripted(corpus, [1, 5, 2], std={2: 0.0}), on_collapse="warn")

    assert fitted.collapsed == ["h_a"]


@pytest.mark.parametrize("std", [{1: 0.0}, {2: 0.01}], ids=["collapse in another epoch", "almost collapsed"])
def test_a_feature_that_varies_at_the_chosen_epoch_has_not_collapsed(corpus, fit, std):
    assert fit(Scripted(corpus, [1, 5, 2], std=std)).collapsed == []


def test_a_system_with_a_dead_text_encoder_is_an_error(new_system, fit):
    """A bias far below zero before the last ReLU of Enc_t: h_t is 0 for every utterance."""
    system = new_system()
    with torch.no_grad():
        system.encoders.specificity["t"].projection.bias.fill_(-1e6)

    with pytest.raises(TrainingError, match="h_t, H_t: one output for all 12 validation utterances"):
        fit(system)


# Clipping.


class Two(nn.Module):
    """Two networks of two weights each; the loss sets their gradients."""

    def __init__(self):
        """Set all weights to 0."""
        super().__init__()
        self.p, self.q = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
        for network in (self.p, self.q):
            nn.init.zeros_(network.weight)

    def networks(self):
        """Return both networks."""
        return {"p": self.p, "q": self.q}


def test_the_gradient_of_each_network_is_clipped_separately():
    """Gradients (30, 40) and (0.3, 0.4), maximum norm 1: only the first changes, to (0.6, 0.8).

    Joint clipping would scale both alike. clip_grad_norm_ adds 1e-6 to the norm.
    """
    system = Two()
    L = (system.p.weight * torch.tensor([30.0, 40.0])).sum()
    L = L + (system.q.weight * torch.tensor([0.3, 0.4])).sum()

    loop.step(system, L, torch.optim.SGD(system.parameters(), lr=1.0), 1.0)

    torch.testing.assert_close(system.p.weight.data, torch.tensor([[-0.6, -0.8]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(system.q.weight.data, torch.tensor([[-0.3, -0.4]]), rtol=0, atol=1e-6)


def test_a_step_discards_the_gradient_of_the_previous_step():
    system = Two()
    optimiser = torch.optim.SGD(system.parameters(), lr=1.0)
    for _ in range(2):
        loop.step(system, system.p.weight.sum() + system.q.weight.sum(), optimiser, 100.0)

    assert system.p.weight.tolist() == [[-2, -2]]


def test_every_parameter_of_a_system_is_in_exactly_one_network(new_system):
    system = new_system()

    clipped = [id(p) for network in system.networks().values() for p in network.parameters()]

    assert sorted(clipped) == sorted(id(p) for p in system.parameters())
    assert list(system.networks()) == ["enc_a", "enc_v", "enc_t", "enc_inv", "imagination", "classifier"]


# Systems.


def trained(fit, system):
    weights = []
    fitted = fit(
        system, on_epoch=lambda row: weights.append({n: p.clone() for n, p in system.state_dict().items()})
    )
    return fitted.history, weights


def same(left, right):
    (history, weights), (history_2, weights_2) = left, right
    return history.equals(history_2) and all(
        torch.equal(a[name], b[name]) for a, b in zip(weights, weights_2, strict=True) for name in a
    )


def test_if_mmin_no_inv_trains_as_if_mmin_with_lambda2_0(new_system, fit):
    without = trained(fit, new_system("if_mmin_no_inv", lambda2=None))

    assert same(without, trained(fit, new_system("if_mmin", lambda2=0.0)))
    assert not same(without, trained(fit, new_system("if_mmin", lambda2=100.0)))


def test_if_mmin_no_cascade_trains_as_if_mmin_with_cascade_first(new_system, fit):
    without = trained(fit, new_system("if_mmin_no_cascade", cascade=None))

    assert same(without, trained(fit, new_system("if_mmin", cascade="first")))
    assert not same(without, trained(fit, new_system("if_mmin", cascade="every")))


def test_training_twice_gives_the_same_bits(new_system, fit):
    assert same(trained(fit, new_system()), trained(fit, new_system()))


def test_training_moves_the_features_away_from_the_targets(new_system, corpus, fit):
    """Targets computed after training differ: it matters that the teacher computes them before."""
    system = new_system().eval()
    rows = corpus.rows["train"]
    with torch.no_grad():
        before = {name: x.clone() for name, x in system.precompute_targets(corpus.select(rows)).items()}

    fit(system)

    with torch.no_grad():
        after = system.eval().precompute_targets(corpus.select(rows))
    assert all((after[name] - before[name]).abs().max() > 1e-3 for name in ("h", "h_missing", "H"))


def test_the_validation_scores_are_those_of_the_final_weights(new_system, corpus, fit):
    system = new_system()
    fitted = fit(system)

    predicted, _ = predict(system, corpus, "validation", CONDITIONS, "float32")

    y = corpus.y[corpus.rows["validation"]]
    accuracy = torch.cat([predicted[c].O.argmax(1) == y for c in CONDITIONS]).float().mean().item()
    predicted_classes = torch.cat([predicted[c].O.argmax(1) for c in CONDITIONS]).numpy()
    chosen = fitted.history[fitted.history["chosen"] == 1].iloc[0]
    assert chosen["validation_wa"] == pytest.approx(accuracy)
    assert chosen["validation_ua"] == pytest.approx(scoring.ua(y.repeat(6).numpy(), predicted_classes, 4))


def test_predictions_do_not_depend_on_the_inference_batch_size(new_system, corpus, monkeypatch):
    system = new_system()
    together, _ = predict(system, corpus, "train", (*CONDITIONS, "avt"), "float32")
    monkeypatch.setattr("ifmmin.training.prediction.INFERENCE_BATCH", 5)

    apart, _ = predict(system, corpus, "train", (*CONDITIONS, "avt"), "float32")

    for condition, expected in together.items():
        torch.testing.assert_close(apart[condition].O, expected.O, rtol=0, atol=1e-6)
        torch.testing.assert_close(apart[condition].H_prime, expected.H_prime, rtol=0, atol=1e-6)


def test_a_system_learns_to_separate_the_classes(new_system, corpus):
    """The class means are several std apart: UA is far above chance (0.25) within a few epochs."""
    settings = loop.Settings(15, 5, 6, 0.01, 0.5, 1.0, "warn", 1)
    system = new_system(lambda2=0.1, dropout=0.0)
    fitted = loop.fit(system, corpus, settings, seed=0, precision="float32", on_epoch=lambda row: None)

    assert fitted.history["validation_ua"].max() > 0.6


def test_the_loop_draws_its_masks_from_the_stream_masks(corpus, fit):
    """In the first epoch, utterance i has the i-th mask of the stream, for any order of batches."""
    system = Scripted(corpus, [1] * 3)
    fit(system, seed=3)

    stream = draw_masks(36, seeding.generator(3, "masks"))
    expected = dict(zip(corpus.x["a"].start.tolist(), map(tuple, stream.tolist()), strict=False))
    assert dict(seen(system)[1]) == expected


@needs_bf16
def test_training_in_bf16_is_finite_and_keeps_float32_weights(new_system, corpus, fit_settings):
    system = new_system()

    fitted = loop.fit(system, corpus, fit_settings(), seed=0, precision="bf16", on_epoch=lambda row: None)

    assert np.isfinite(fitted.history.to_numpy()).all()
    assert {x.dtype for x in system.state_dict().values()} == {torch.float32}
    predicted, _ = predict(system, corpus, "test", (*CONDITIONS, "avt"), "bf16")
    assert all(p.O.dtype == p.H_prime.dtype == torch.float32 for p in predicted.values())


class MemoryCheckpoint:
    """A checkpoint in memory, serialised as on disk."""

    def __init__(self):
        """Start without a state."""
        self.content, self.saved = None, 0

    def load(self):
        """Return the saved state, or None."""
        return self.content and torch.load(io.BytesIO(self.content), weights_only=True)

    def save(self, state):
        """Save a state."""
        file = io.BytesIO()
        torch.save(dict(state), file)
        self.content, self.saved = file.getvalue(), self.saved + 1


class CutOff(Exception):  # noqa: N818 - no error
    """Interrupts a training run."""


def build_mctn(new_system):
    return mctn.build(
        sizes=SIZES, n_classes=4, hidden=6, steps=3, classifier=[7], dropout=0.5, translation_weight=0.3
    )


@pytest.mark.parametrize(
    "build", [lambda new_system: new_system("if_mmin"), build_mctn], ids=["if_mmin", "mctn"]
)
@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_training_resumes_and_ends_with_the_same_bits(
    new_system, corpus, fit_settings, build, after
):
    """Weights, history and chosen epoch are equal; dropout, masks and order continue where they stopped."""

    def fit(on_epoch, checkpoint, seed):
        torch.manual_seed(7)
        system = build(new_system)
        torch.manual_seed(seed)
        settings = fit_settings(epochs_constant=3, epochs_decay=2, on_collapse="warn")
        options = {"seed": 0, "precision": "float32", "on_epoch": on_epoch, "checkpoint": checkpoint}
        return system, loop.fit(system, corpus, settings, **options).history

    def until(row):
        if row["epoch"] == after:
            raise CutOff

    checkpoint, epochs = MemoryCheckpoint(), []
    uninterrupted, expected = fit(lambda row: None, None, 3)
    with pytest.raises(CutOff):
        fit(until, checkpoint, 3)
    assert checkpoint.saved == after
    resumed, history = fit(lambda row: epochs.append(row["epoch"]), checkpoint, 99)  # other random state

    pd.testing.assert_frame_equal(history, expected, check_exact=True)
    assert epochs == [1, 2, 3, 4, 5]
    assert checkpoint.saved == 4  # none after the last epoch: the artifacts follow at once
    for name, x in uninterrupted.state_dict().items():
        assert torch.equal(x, resumed.state_dict()[name]), name

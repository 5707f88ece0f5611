"""Training: what is kept, what stops, what is drawn."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from conftest import SIZES, needs_bf16
from ifmmin.core import scoring
from ifmmin.core.terms import CONDITIONS
from ifmmin.nn.protocol import CheckpointGroup, Prediction
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
    """Fit a system on the small corpus and give what is left."""

    def fitted(system, seed=0, on_epoch=lambda row: None, **changes):
        torch.manual_seed(7)
        return loop.fit(
            system, corpus, fit_settings(**changes), seed=seed, precision="float32", on_epoch=on_epoch
        )

    return fitted


class Scripted(nn.Module):
    """A system that is right about as many validation utterances, in each epoch, as it is told to be."""

    smallest_batch = 1

    def __init__(self, corpus, right, *, loss=None, spread=None, logit=1.0):
        """Take per epoch how many of 12 are right in each condition, and how far the feature h_a varies."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        self.y = corpus.y[corpus.rows["validation"]]
        self.right, self.loss, self.spread, self.logit = right, loss or {}, spread or {}, logit
        self.events = []

    def networks(self):
        """All is one network."""
        return {"all": self}

    def checkpoint_groups(self):
        """Two conditions pick the epoch of the whole."""
        return {"": CheckpointGroup(("a", "v"), self.state_dict())}

    def precompute_targets(self, x):
        """The first frame of each utterance, which tells utterances apart."""
        self.events.append(("prepare", self.training, torch.is_grad_enabled(), self.weight.detach().clone()))
        return {"start": x["a"].start}

    def training_losses(self, batch):
        """A square that Adam lowers; the loss told for this epoch and step; the mean label."""
        self.epoch.fill_(batch.epoch)
        step = sum(e[0] == "batch" and e[1].epoch == batch.epoch for e in self.events) + 1
        self.events.append(("batch", batch))
        value = self.loss.get((batch.epoch, step), 0.0)
        L = (self.weight - 1).square().sum()
        return {"L": L, "L_told": L.detach() * 0 + value, "L_label": batch.y.float().mean()}

    def encode(self, x):
        """Nothing is needed of the sequences but how many there are."""
        return {"n": torch.zeros(len(x["a"].lengths))}

    def predict(self, encoded, conditions):
        """Right for the first utterances of the validation set, wrong for the others."""
        del encoded
        return {c: Prediction(self._logits(self.right[int(self.epoch) - 1], c), None) for c in conditions}

    def _logits(self, right, condition):
        n = right[condition] if isinstance(right, dict) else right
        predicted = torch.where(torch.arange(12) < n, self.y, (self.y + 1) % 4)
        return self.logit * nn.functional.one_hot(predicted, 4).float()

    def monitored(self, encoded):
        """Unit 0 never varies, unit 1 takes two values, as far apart as told."""
        sign = torch.arange(len(encoded["n"])) % 2 * 2.0 - 1
        spread = self.spread.get(int(self.epoch), 1.0)
        return {"h_a": torch.stack([torch.ones_like(sign), spread * sign], 1)}

    def batches(self):
        """The batches seen, in order."""
        return [event[1] for event in self.events if event[0] == "batch"]


def test_the_first_best_epoch_wins_and_its_weights_are_left(corpus, fit):
    """Right of 12: 4, 8, 8, 2. Epochs 2 and 3 tie."""
    system = Scripted(corpus, [4, 8, 8, 2])

    fitted = fit(system, epochs_constant=4, epochs_decay=0)

    assert list(fitted.history["chosen"]) == [0, 1, 0, 0]
    assert list(fitted.history["epoch"]) == [1, 2, 3, 4]
    np.testing.assert_allclose(fitted.history["validation_ua"], [4 / 12, 8 / 12, 8 / 12, 2 / 12])
    assert int(system.epoch) == 2


def test_the_weights_left_are_those_at_the_end_of_the_chosen_epoch(corpus, fit):
    system, shorter = Scripted(corpus, [4, 8, 2, 2]), Scripted(corpus, [4, 8])

    fit(system, epochs_constant=4, epochs_decay=0)
    fit(shorter, epochs_constant=2, epochs_decay=0)

    assert torch.equal(system.weight, shorter.weight)


def test_an_epoch_with_nothing_right_can_be_chosen(corpus, fit):
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
    """36 utterances in tens: the last batch has six. The labels 0 1 2 3 ... of 36 have the mean 1.5."""
    fitted = fit(Scripted(corpus, [1]), epochs_constant=1, epochs_decay=0)

    assert fitted.history.loc[0, "L_label"] == pytest.approx(1.5)


def test_the_history_has_the_rates_of_the_schedule(corpus, fit):
    """8, 8, then 2/3 and 1/3 of it."""
    fitted = fit(Scripted(corpus, [1] * 4), epochs_constant=2, epochs_decay=2, lr=8.0)

    np.testing.assert_allclose(fitted.history["lr"], [8, 8, 16 / 3, 8 / 3])


def test_the_steps_of_an_epoch_use_its_rate(corpus, fit):
    """Adam's first step has the length of the rate: 0.75 x 0.01 in the first of three epochs of decay."""
    moved = []
    system = Scripted(corpus, [1] * 3)

    fit(
        system,
        epochs_constant=0,
        epochs_decay=3,
        batch=36,
        on_epoch=lambda row: moved.append(system.weight.detach().clone()),
    )

    torch.testing.assert_close(moved[0], torch.full((2,), 0.0075), rtol=1e-4, atol=0)


def test_every_epoch_is_told_as_it_ends(corpus, fit):
    told = []

    fitted = fit(Scripted(corpus, [1, 2, 3]), on_epoch=lambda row: told.append(dict(row)))

    assert [row["epoch"] for row in told] == [1, 2, 3]
    pd.testing.assert_frame_equal(pd.DataFrame(told), fitted.history.drop(columns="chosen"))


# Draws.


def seen(system):
    """For each epoch, the mask of each utterance (by its first frame), in the order in which they came."""
    epochs = {}
    for batch in system.batches():
        for start, mask in zip(batch.x["a"].start.tolist(), batch.available.tolist(), strict=True):
            epochs.setdefault(batch.epoch, []).append((start, tuple(mask)))
    return epochs


def test_each_epoch_shows_each_training_utterance_once_under_one_mask(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    starts = sorted(corpus.x["a"].start[corpus.rows["train"]].tolist())
    assert all(sorted(start for start, _ in epoch) == starts for epoch in seen(system).values())
    assert all(0 < sum(mask) < 3 for epoch in seen(system).values() for _, mask in epoch)


def test_masks_and_order_differ_from_epoch_to_epoch(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    epochs = seen(system)
    assert dict(epochs[1]) != dict(epochs[2])
    assert [s for s, _ in epochs[1]] != [s for s, _ in epochs[2]]


def test_masks_depend_on_the_seed_alone_and_not_on_the_batch_size(corpus, fit):
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


def test_a_batch_holds_labels_and_targets_of_its_own_utterances(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    by_start = dict(zip(corpus.x["a"].start.tolist(), corpus.y.tolist(), strict=True))
    for batch in system.batches():
        assert batch.targets["start"].tolist() == batch.x["a"].start.tolist()
        assert [by_start[start] for start in batch.x["a"].start.tolist()] == batch.y.tolist()


def test_prepare_is_asked_once_before_the_first_step_in_evaluation_mode_without_gradient(corpus, fit):
    system = Scripted(corpus, [1] * 3)

    fit(system)

    asked = [event for event in system.events if event[0] == "prepare"]
    assert system.events[0] is asked[0]
    assert len(asked) == 1
    _, training, gradient, weight = asked[0]
    assert not training
    assert not gradient
    assert torch.equal(weight, torch.zeros(2))


# Stops.


def test_a_loss_that_is_not_finite_stops_with_its_name_epoch_and_step(corpus, fit):
    system = Scripted(corpus, [1] * 3, loss={(2, 3): float("nan")})

    with pytest.raises(TrainingError, match="L_told is nan in epoch 2, step 3; expected a finite loss"):
        fit(system)


def test_a_logit_that_is_not_finite_stops_with_condition_and_role(corpus, fit):
    with pytest.raises(
        TrainingError, match="condition a: a logit of the validation utterances is not finite"
    ):
        fit(Scripted(corpus, [1] * 3, logit=float("inf")))


def test_too_few_training_utterances_stop_with_a_sentence(corpus, fit_settings):
    few = corpus._replace(rows={**corpus.rows, "train": torch.arange(1)})
    system = Scripted(few, [1] * 3)
    system.smallest_batch = 2

    with pytest.raises(TrainingError, match="no batch has 2 utterances"):
        loop.fit(system, few, fit_settings(), seed=0, precision="float32", on_epoch=lambda row: None)


def test_the_history_has_the_share_of_live_units_and_their_mean_deviation(corpus, fit):
    """One of two units varies, by 0.25 about its mean: a half live, mean deviation 0.125."""
    fitted = fit(Scripted(corpus, [1], spread={1: 0.25}), epochs_constant=1, epochs_decay=0)

    assert fitted.history.loc[0, "active_h_a"] == 0.5
    assert fitted.history.loc[0, "std_h_a"] == pytest.approx(0.125)


def test_a_feature_that_is_one_output_for_all_at_the_chosen_epoch_stops_with_its_name(corpus, fit):
    """Epoch 2 is chosen, and it alone has collapsed."""
    with pytest.raises(TrainingError, match=r"^h_a: one output for all 12 validation utterances"):
        fit(Scripted(corpus, [1, 5, 2], spread={2: 0.0}))


def test_a_collapse_is_reported_where_it_is_to_be_a_warning(corpus, fit):
    fitted = fit(Scripted(corpus, [1, 5, 2], spread={2: 0.0}), on_collapse="warn")

    assert fitted.collapsed == ["h_a"]


@pytest.mark.parametrize("spread", [{1: 0.0}, {2: 0.01}], ids=["in another epoch", "nearly"])
def test_a_feature_that_varies_at_the_chosen_epoch_has_not_collapsed(corpus, fit, spread):
    assert fit(Scripted(corpus, [1, 5, 2], spread=spread)).collapsed == []


def test_a_system_whose_text_encoder_is_dead_stops(new_system, fit):
    """A bias far below zero in front of the last ReLU of Enc_t: h_t is 0 for every utterance."""
    system = new_system()
    with torch.no_grad():
        system.encoders.specificity["t"].projection.bias.fill_(-1e6)

    with pytest.raises(TrainingError, match="h_t, H_t: one output for all 12 validation utterances"):
        fit(system)


# Clipping.


class Two(nn.Module):
    """Two networks of two weights, whose gradients are given by the loss."""

    def __init__(self):
        """All weights are 0."""
        super().__init__()
        self.p, self.q = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
        for part in (self.p, self.q):
            nn.init.zeros_(part.weight)

    def networks(self):
        """Each on its own."""
        return {"p": self.p, "q": self.q}


def test_the_gradient_of_each_network_is_clipped_on_its_own():
    """Gradients (30, 40) and (0.3, 0.4), largest norm 1: the first becomes (0.6, 0.8), the second stays.

    Together they would be scaled alike. clip_grad_norm_ adds 1e-6 to the norm.
    """
    system = Two()
    L = (system.p.weight * torch.tensor([30.0, 40.0])).sum()
    L = L + (system.q.weight * torch.tensor([0.3, 0.4])).sum()

    loop.step(system, L, torch.optim.SGD(system.parameters(), lr=1.0), 1.0)

    torch.testing.assert_close(system.p.weight.data, torch.tensor([[-0.6, -0.8]]), rtol=0, atol=1e-6)
    torch.testing.assert_close(system.q.weight.data, torch.tensor([[-0.3, -0.4]]), rtol=0, atol=1e-6)


def test_a_step_forgets_the_gradient_of_the_one_before():
    system = Two()
    optimiser = torch.optim.SGD(system.parameters(), lr=1.0)
    for _ in range(2):
        loop.step(system, system.p.weight.sum() + system.q.weight.sum(), optimiser, 100.0)

    assert system.p.weight.tolist() == [[-2, -2]]


def test_every_parameter_of_a_system_is_in_one_network(new_system):
    system = new_system()

    clipped = [id(p) for network in system.networks().values() for p in network.parameters()]

    assert sorted(clipped) == sorted(id(p) for p in system.parameters())
    assert list(system.networks()) == ["enc_a", "enc_v", "enc_t", "enc_inv", "imagination", "classifier"]


# Systems.


def trained(fit, system):
    rows = []
    fitted = fit(
        system, on_epoch=lambda row: rows.append({n: p.clone() for n, p in system.state_dict().items()})
    )
    return fitted.history, rows


def same(left, right):
    (history, weights), (history_2, weights_2) = left, right
    return history.equals(history_2) and all(
        torch.equal(a[name], b[name]) for a, b in zip(weights, weights_2, strict=True) for name in a
    )


def test_if_mmin_no_inv_is_if_mmin_at_lambda2_0_step_for_step(new_system, fit):
    without = trained(fit, new_system("if_mmin_no_inv", lambda2=None))

    assert same(without, trained(fit, new_system("if_mmin", lambda2=0.0)))
    assert not same(without, trained(fit, new_system("if_mmin", lambda2=100.0)))


def test_if_mmin_no_cascade_is_if_mmin_with_the_cascade_first_step_for_step(new_system, fit):
    without = trained(fit, new_system("if_mmin_no_cascade", cascade=None))

    assert same(without, trained(fit, new_system("if_mmin", cascade="first")))
    assert not same(without, trained(fit, new_system("if_mmin", cascade="every")))


def test_a_training_again_gives_the_same_bits(new_system, fit):
    assert same(trained(fit, new_system()), trained(fit, new_system()))


def test_the_targets_stay_while_the_student_moves(new_system, corpus, fit):
    """After training, L_inv against the teacher's first H is not 0; recomputed by the student it would be."""
    system = new_system().eval()
    rows = corpus.rows["train"]
    with torch.no_grad():
        before = {name: x.clone() for name, x in system.precompute_targets(corpus.select(rows)).items()}

    fit(system)

    with torch.no_grad():
        after = system.eval().precompute_targets(corpus.select(rows))
    assert all((after[name] - before[name]).abs().max() > 1e-3 for name in ("h", "h_missing", "H"))


def test_the_validation_scores_are_those_of_the_weights_that_are_left(new_system, corpus, fit):
    system = new_system()
    fitted = fit(system)

    predicted, _ = predict(system, corpus, "validation", CONDITIONS, "float32")

    y = corpus.y[corpus.rows["validation"]]
    right = torch.cat([predicted[c].O.argmax(1) == y for c in CONDITIONS]).float().mean().item()
    answers = torch.cat([predicted[c].O.argmax(1) for c in CONDITIONS]).numpy()
    chosen = fitted.history[fitted.history["chosen"] == 1].iloc[0]
    assert chosen["validation_wa"] == pytest.approx(right)
    assert chosen["validation_ua"] == pytest.approx(scoring.ua(y.repeat(6).numpy(), answers, 4))


def test_predictions_do_not_depend_on_how_many_are_encoded_at_once(new_system, corpus, monkeypatch):
    system = new_system()
    together, _ = predict(system, corpus, "train", (*CONDITIONS, "avt"), "float32")
    monkeypatch.setattr("ifmmin.training.prediction.INFERENCE_BATCH", 5)

    apart, _ = predict(system, corpus, "train", (*CONDITIONS, "avt"), "float32")

    for condition, expected in together.items():
        torch.testing.assert_close(apart[condition].O, expected.O, rtol=0, atol=1e-6)
        torch.testing.assert_close(apart[condition].H_prime, expected.H_prime, rtol=0, atol=1e-6)


def test_a_system_learns_what_its_corpus_holds(new_system, corpus):
    """Classes with means some deviations apart: far above the quarter of chance within a few epochs."""
    settings = loop.Settings(15, 5, 6, 0.01, 0.5, 1.0, "warn", 1)
    system = new_system(lambda2=0.1, dropout=0.0)
    fitted = loop.fit(system, corpus, settings, seed=0, precision="float32", on_epoch=lambda row: None)

    assert fitted.history["validation_ua"].max() > 0.6


def test_masks_of_the_loop_are_those_of_the_stream_masks(corpus, fit):
    """Position i of the first epoch has the i-th mask of the stream, whatever the order of batches."""
    system = Scripted(corpus, [1] * 3)
    fit(system, seed=3)

    stream = draw_masks(36, seeding.generator(3, "masks"))
    expected = dict(zip(corpus.x["a"].start.tolist(), map(tuple, stream.tolist()), strict=False))
    assert dict(seen(system)[1]) == expected


@needs_bf16
def test_a_training_in_bf16_is_finite_and_leaves_float32_weights(new_system, corpus, fit_settings):
    system = new_system()

    fitted = loop.fit(system, corpus, fit_settings(), seed=0, precision="bf16", on_epoch=lambda row: None)

    assert np.isfinite(fitted.history.to_numpy()).all()
    assert {x.dtype for x in system.state_dict().values()} == {torch.float32}
    predicted, _ = predict(system, corpus, "test", (*CONDITIONS, "avt"), "bf16")
    assert all(p.O.dtype == p.H_prime.dtype == torch.float32 for p in predicted.values())


class Kept:
    """A checkpoint in memory; its bytes go through a file's format, as on disk."""

    def __init__(self):
        """Keep nothing yet."""
        self.content, self.saved = None, 0

    def load(self):
        """What was kept."""
        return self.content and torch.load(io.BytesIO(self.content), weights_only=True)

    def save(self, state):
        """Keep a state."""
        file = io.BytesIO()
        torch.save(dict(state), file)
        self.content, self.saved = file.getvalue(), self.saved + 1


class CutOff(Exception):  # noqa: N818 - no error
    """What ends a training in the middle."""


def of_mctn(new_system):
    return mctn.build(
        sizes=SIZES, n_classes=4, hidden=6, steps=3, classifier=[7], dropout=0.5, translation_weight=0.3
    )


@pytest.mark.parametrize(
    "build", [lambda new_system: new_system("if_mmin"), of_mctn], ids=["if_mmin", "mctn"]
)
@pytest.mark.parametrize("after", [1, 3])
def test_a_training_that_was_cut_off_goes_on_and_ends_with_the_same_bits(
    new_system, corpus, fit_settings, build, after
):
    """Weights, history and pick of the epoch; dropout, masks and order go on where they were."""

    def fit(on_epoch, checkpoint, seed):
        torch.manual_seed(7)
        system = build(new_system)
        torch.manual_seed(seed)
        settings = fit_settings(epochs_constant=3, epochs_decay=2, on_collapse="warn")
        how = {"seed": 0, "precision": "float32", "on_epoch": on_epoch, "checkpoint": checkpoint}
        return system, loop.fit(system, corpus, settings, **how).history

    def until(row):
        if row["epoch"] == after:
            raise CutOff

    kept, told = Kept(), []
    whole, expected = fit(lambda row: None, None, 3)
    with pytest.raises(CutOff):
        fit(until, kept, 3)
    assert kept.saved == after
    rest, history = fit(lambda row: told.append(row["epoch"]), kept, 99)  # another process drew other numbers

    pd.testing.assert_frame_equal(history, expected, check_exact=True)
    assert told == [1, 2, 3, 4, 5]
    assert kept.saved == 4  # not the last epoch: its artifacts come at once
    for name, x in whole.state_dict().items():
        assert torch.equal(x, rest.state_dict()[name]), name

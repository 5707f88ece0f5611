"""Six networks trained together: each is the same as if trained alone."""

import pytest
import torch
from torch import nn

from conftest import ENCODERS, SIZES
from ifmmin.core.terms import CONDITIONS
from ifmmin.nn import fusion
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.per_condition import PerCondition, per_condition
from ifmmin.nn.protocol import Batch, CheckpointGroup, Prediction, SystemDefaults
from ifmmin.systems import mctn
from ifmmin.training import loop
from ifmmin.training.batches import draw_batches
from ifmmin.training.prediction import TrainingError, predict

HEAD = {"n_classes": 4, "classifier": [7], "dropout": 0.0}
FUSION = {name: x for name, x in ENCODERS.items() if "invariance" not in name} | {"text_dropout": 0.0, **HEAD}
MCTN = {"sizes": SIZES, "hidden": 6, "steps": 3, "translation_weight": 0.5, **HEAD}
"""Without dropout, because its random draws depend on the other networks."""

BUILDS = {
    "fusion": (fusion.build, per_condition(fusion.build), FUSION),
    "mctn": (mctn.translator, mctn.build, MCTN),
}
"""Builder for one condition, builder for all six, and the settings of both."""
each_kind = pytest.mark.parametrize("kind", BUILDS)


def together(kind, seed=0):
    torch.manual_seed(seed)
    _, build, values = BUILDS[kind]
    return build(**values)


def alone(kind, condition, start):
    """A network of one condition with the initial weights it has among the six."""
    build, _, values = BUILDS[kind]
    network = build(**values, condition=condition)
    network.load_state_dict(start.members[condition].state_dict())
    return network


SETTINGS = loop.Settings(
    epochs_constant=2,
    epochs_decay=1,
    batch=12,
    lr=0.01,
    beta1=0.5,
    clip=1.0,
    on_collapse="warn",
    threads=1,
)


def batches(corpus, epochs, targets):
    """Training batches of some epochs; masks are drawn but not read."""
    draw = torch.Generator().manual_seed(5)
    rows = corpus.rows["train"]
    for epoch in range(1, epochs + 1):
        for positions in draw_batches(len(rows), 12, 1, draw):
            selected = rows[positions]
            mask = torch.rand(len(selected), 3, generator=draw) < 0.5
            yield Batch(
                corpus.select(selected),
                mask,
                corpus.y[selected],
                {k: x[positions] for k, x in targets.items()},
                epoch,
            )


def norms(system):
    """L2 norm of the gradient of each sub-network."""
    return torch.stack(
        [
            torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in network.parameters()]))
            for network in system.networks().values()
        ]
    )


def train(system, corpus, clip):
    """Train for two epochs of three steps; return the clipped gradient norms of the last step."""
    targets = system.eval().precompute_targets(corpus.select(corpus.rows["train"]))
    optimiser = loop.adam(system.train(), SETTINGS)
    for batch in batches(corpus, 2, targets):
        loop.step(system, system.training_losses(batch)["L"], optimiser, clip)
    return norms(system)


@each_kind
@pytest.mark.parametrize("clip", [0.01, 1e6], ids=["clipped", "not clipped"])
def test_steps_together_give_the_same_networks_as_steps_alone(corpus, kind, clip):
    """Bit for bit: the losses are summed, Adam is elementwise and clipping is per sub-network."""
    six = together(kind)
    start = {name: x.clone() for name, x in six.state_dict().items()}
    lone = {c: alone(kind, c, six) for c in CONDITIONS}

    after_clipping = train(six, corpus, clip)
    for network in lone.values():
        train(network, corpus, clip)

    assert (after_clipping.max() < 0.011) == (clip == 0.01)
    for c, network in lone.items():
        for name, x in six.members[c].state_dict().items():
            assert torch.equal(x, network.state_dict()[name]), (c, name)
    moved = [name for name, p in six.named_parameters() if not torch.equal(p, start[name])]
    assert len(moved) == len(list(six.parameters()))


@each_kind
def test_clipping_changes_the_weights(corpus, kind):
    """Control for the test above: Adam by itself is nearly invariant to the gradient's scale."""
    clipped, free = together(kind), together(kind)

    train(clipped, corpus, 0.01)
    train(free, corpus, 1e6)

    for c in CONDITIONS:
        pairs = zip(clipped.members[c].parameters(), free.members[c].parameters(), strict=True)
        assert any((p - q).abs().max() > 1e-4 for p, q in pairs), c


@each_kind
def test_training_together_gives_the_same_networks_as_training_alone(corpus, kind):
    """The whole loop: order, schedule, choice of the epoch and validation UA."""
    six = together(kind)
    lone = {c: alone(kind, c, six) for c in CONDITIONS}
    options = {"seed": 3, "precision": "float32", "on_epoch": lambda row: None}

    history = loop.fit(six, corpus, SETTINGS, **options).history
    histories = {c: loop.fit(network, corpus, SETTINGS, **options).history for c, network in lone.items()}

    for c, network in lone.items():
        assert list(history[f"chosen_{c}"]) == list(histories[c]["chosen"]), c
        assert list(history[f"validation_ua_{c}"]) == list(histories[c]["validation_ua"]), c
        for name, x in six.members[c].state_dict().items():
            assert torch.equal(x, network.state_dict()[name]), (c, name)


@each_kind
def test_each_loss_is_the_sum_over_the_networks(corpus, kind):
    """L_trans_2 has three terms, one for each condition with two missing modalities."""
    six = together(kind)
    targets = six.precompute_targets(corpus.select(corpus.rows["train"]))
    lone = [alone(kind, c, six) for c in CONDITIONS]
    batch = next(batches(corpus, 1, targets))

    losses = six.training_losses(batch)

    separate = [network.training_losses(batch) for network in lone]
    assert losses.keys() == {name for terms in separate for name in terms}
    for name, loss in losses.items():
        values = [terms[name].item() for terms in separate if name in terms]
        assert loss.item() == pytest.approx(sum(values), rel=1e-6)
        assert len(values) == (3 if name == "L_trans_2" else 6)


@each_kind
def test_every_parameter_is_in_one_sub_network_of_one_condition(kind):
    six = together(kind)

    named = six.networks()

    for name, network in named.items():
        parameters = {id(p) for p in six.members[name.partition(".")[0]].parameters()}
        assert {id(p) for p in network.parameters()} <= parameters
    clipped = [id(p) for network in named.values() for p in network.parameters()]
    assert sorted(clipped) == sorted(id(p) for p in six.parameters())


# Checkpoint groups.


@each_kind
def test_each_condition_has_a_checkpoint_group_and_they_cover_all_weights(kind):
    six = together(kind)

    groups = six.checkpoint_groups()

    assert {name: group.conditions for name, group in groups.items()} == {c: (c,) for c in CONDITIONS}
    pointers = [x.data_ptr() for group in groups.values() for x in group.weights.values()]
    assert sorted(pointers) == sorted(x.data_ptr() for x in six.state_dict().values())
    assert len(set(pointers)) == len(pointers)


@each_kind
def test_writing_to_a_checkpoint_group_changes_only_its_network(kind):
    six = together(kind)
    before = {name: x.clone() for name, x in six.state_dict().items()}

    for x in six.checkpoint_groups()["at"].weights.values():
        x.copy_(torch.full_like(x, 7.0))

    for name, x in six.state_dict().items():
        assert torch.equal(x, torch.full_like(x, 7.0) if name.startswith("members.at.") else before[name])


class Scripted(SystemDefaults, nn.Module):
    """A system of one condition with a prescribed number of correct validation utterances per epoch."""

    def __init__(self, corpus, condition, right, flat=()):
        """Take the number correct (of 12) per epoch, and the epochs in which the feature h is constant."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        self.y = corpus.y[corpus.rows["validation"]]
        self.condition, self.right, self.flat = condition, right, flat
        self.batches = []

    def networks(self):
        """One network."""
        return {"all": self}

    def checkpoint_groups(self):
        """One checkpoint group."""
        return {"": CheckpointGroup((self.condition,), self.state_dict())}

    def precompute_targets(self, x):
        """Start of each utterance in the condition's first modality."""
        return {"start": x[self.condition[0]].start}

    def training_losses(self, batch):
        """A square for Adam to minimise."""
        self.epoch.fill_(batch.epoch)
        self.batches.append(batch)
        L = (self.weight - 1).square().sum()
        return {"L": L}

    def encode(self, x):
        """Accept only the modalities of the condition; keep the number of utterances."""
        assert list(x) == list(self.condition)
        return {"n": torch.zeros(len(x[self.condition[0]].lengths))}

    def predict(self, encoded, conditions):
        """Correct for the first utterances, wrong for the others."""
        assert list(encoded) == ["n"]
        right = torch.arange(len(encoded["n"])) < self.right[int(self.epoch) - 1]
        predicted = torch.where(right, self.y, (self.y + 1) % 4)
        O = nn.functional.one_hot(predicted, 4).float()
        return {c: Prediction(O, None) for c in conditions if c == self.condition}

    def monitored(self, encoded):
        """A unit with two values, or with one in a flat epoch."""
        amplitude = 0.0 if int(self.epoch) in self.flat else 1.0
        return {"h": amplitude * (torch.arange(len(encoded["n"])) % 2)[:, None].float()}


RIGHT = {
    "a": [1, 9, 2, 9],
    "v": [7, 1, 1, 1],
    "t": [1, 2, 3, 4],
    "av": [0, 0, 5, 0],
    "at": [0, 0, 0, 0],
    "vt": [12, 12, 12, 12],
}
"""Number of correct validation utterances, of 12, for each network after each epoch."""
BEST = {"a": 2, "v": 1, "t": 4, "av": 3, "at": 1, "vt": 1}
"""The first epoch with the maximum."""


def fit(corpus, networks, **changes):
    """Train for four epochs; return the result and each network's weight after each epoch."""
    six, weights = PerCondition(networks), []
    settings = SETTINGS._replace(epochs_constant=4, epochs_decay=0, **changes)
    fitted = loop.fit(
        six,
        corpus,
        settings,
        seed=0,
        precision="float32",
        on_epoch=lambda row: weights.append({c: x.weight.detach().clone() for c, x in networks.items()}),
    )
    return fitted, weights


def test_each_network_keeps_the_weights_of_its_first_best_epoch(corpus):
    networks = {c: Scripted(corpus, c, right) for c, right in RIGHT.items()}

    _, weights = fit(corpus, networks)

    assert {c: int(network.epoch) for c, network in networks.items()} == BEST
    for c, network in networks.items():
        assert torch.equal(network.weight, weights[BEST[c] - 1][c]), c
        assert sum(torch.equal(network.weight, x[c]) for x in weights) == 1, c


def test_the_history_has_scores_and_chosen_epochs_by_condition(corpus):
    """Three utterances per class: UA = n / 12. Pooled after epoch 1: (1 + 7 + 1 + 0 + 0 + 12) / 72."""
    history = fit(corpus, {c: Scripted(corpus, c, right) for c, right in RIGHT.items()})[0].history

    marks = [name for name in history if name.startswith("chosen")]
    assert marks == [f"chosen_{c}" for c in CONDITIONS]
    for c, right in RIGHT.items():
        assert list(history[f"chosen_{c}"]) == [int(epoch == BEST[c]) for epoch in (1, 2, 3, 4)]
        assert list(history[f"validation_ua_{c}"]) == pytest.approx([n / 12 for n in right])
    assert list(history["validation_wa"]) == pytest.approx([21 / 72, 24 / 72, 23 / 72, 26 / 72])


def test_pooled_ua_pools_the_predictions_of_all_conditions(corpus):
    """The first n of 12 utterances are correct; their classes are 0 1 2 3 0 1 ..."""
    networks = {c: Scripted(corpus, c, [1]) for c in CONDITIONS}
    networks["a"].right = [2]
    six = PerCondition(networks)
    settings = SETTINGS._replace(epochs_constant=1, epochs_decay=0)

    history = loop.fit(six, corpus, settings, seed=0, precision="float32", on_epoch=lambda row: None).history

    assert history.loc[0, "validation_ua"] == pytest.approx((6 / 18 + 1 / 18 + 0 + 0) / 4)
    assert history.loc[0, "validation_ua_a"] == pytest.approx((1 / 3 + 1 / 3 + 0 + 0) / 4)


def test_collapse_is_checked_at_the_chosen_epoch_of_each_network(corpus):
    """Network a is flat in its chosen epoch 2, t in its chosen epoch 4; v and av only in other epochs."""
    flat = {"a": (2,), "v": (2, 3, 4), "t": (4,), "av": (1, 2, 4)}
    networks = {c: Scripted(corpus, c, right, flat.get(c, ())) for c, right in RIGHT.items()}

    assert fit(corpus, networks)[0].collapsed == ["a.h", "t.h"]


def test_the_error_on_collapse_names_condition_and_feature(corpus):
    networks = {c: Scripted(corpus, c, right, (3,) if c == "av" else ()) for c, right in RIGHT.items()}

    with pytest.raises(TrainingError, match=r"^av\.h: one output for all 12 validation utterances"):
        fit(corpus, networks, on_collapse="stop")


def test_each_network_gets_its_own_targets_for_the_batch(corpus):
    """Targets are keyed by condition; a, av and at share a prefix and must not be mixed up."""
    networks = {c: Scripted(corpus, c, right) for c, right in RIGHT.items()}

    fit(corpus, networks)

    for c, network in networks.items():
        for batch in network.batches:
            assert list(batch.targets) == ["start"]
            starts = batch.x[c[0]].start
            assert batch.targets["start"].tolist() == starts.tolist()


# Prediction.


@each_kind
def test_each_network_predicts_its_condition_and_none_the_full_input(corpus, kind):
    six = together(kind).eval()
    x = corpus.select(corpus.rows["test"])
    with torch.no_grad():
        encoded = six.encode(x)

        predicted = six.predict(encoded, ("vt", "avt", "a"))

        assert list(predicted) == ["vt", "a"]
        for c, prediction in predicted.items():
            network = alone(kind, c, six).eval()
            expected = network.predict(network.encode({m: x[m] for m in c}), [c])[c]
            assert torch.equal(prediction.O, expected.O)
            assert prediction.H_prime is None


def test_the_loop_predicts_all_conditions_but_the_full_input(corpus):
    predicted, monitored = predict(together("mctn"), corpus, "test", (*CONDITIONS, "avt"), "float32")

    assert tuple(predicted) == CONDITIONS
    assert list(monitored) == [f"{c}.joint" for c in CONDITIONS]


@each_kind
def test_the_six_networks_share_no_weights_and_start_differently(kind):
    six = together(kind)

    heads = [six.members[c].classifier.hidden[0].weight for c in CONDITIONS]

    assert len({x.data_ptr() for x in six.parameters()}) == len(list(six.parameters()))
    for i, left in enumerate(heads):
        for right in heads[i + 1 :]:
            assert left.shape != right.shape or not torch.equal(left, right)


def test_each_network_has_its_own_copy_of_the_pretrained_encoders():
    """Six networks must not train one shared set of encoders."""
    encoders = Encoders(**ENCODERS)

    class Member(SystemDefaults, nn.Module):
        def __init__(self, encoders, condition):
            super().__init__()
            self.encoders, self.condition = encoders, condition

    six = per_condition(lambda *, encoders, condition: Member(encoders, condition))(encoders=encoders)

    pointers = [p.data_ptr() for p in six.parameters()]
    assert len(set(pointers)) == len(pointers) == 6 * len(list(encoders.parameters()))
    for member in six.members.values():
        for name, x in encoders.state_dict().items():
            torch.testing.assert_close(member.encoders.state_dict()[name], x, rtol=0, atol=0)

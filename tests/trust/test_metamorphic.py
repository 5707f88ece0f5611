"""Metamorphic tests: known effects of a change of the data on the result."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch

from ifmmin.core.terms import CONDITIONS, FULL
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.sequences import Sequences
from ifmmin.results import table1
from ifmmin.training import loop, tabulation
from ifmmin.training.batches import Corpus, draw_masks
from ifmmin.training.prediction import predict
from trust import small

CLASSES = ["angry", "happy", "neutral", "sad"]
SIZE, TRAINING, VALIDATION, TEST = 4, 400, 100, 1000
SETTINGS = loop.Settings(
    epochs_constant=8, epochs_decay=4, batch=20, lr=0.01, beta1=0.9, clip=1.0, on_collapse="warn", threads=1
)
ROOMY = {"hidden": 12, "dropout": 0.1, "text_dropout": 0.1, "lambda2": 1.0, "M": 2}
SIGNAL = 0.9
"""Norm of a class mean in stds of an utterance; one modality alone classifies half of the utterances."""


def means(m):
    """Class means of a modality, (4, SIZE): corners of a rotated simplex."""
    draw = torch.Generator().manual_seed(ord(m))
    return SIGNAL * 2**0.5 * torch.linalg.qr(torch.randn(SIZE, SIZE, generator=draw))[0]


def generated(seed, *, copied=False):
    """A corpus whose modalities are independent given the class, or whose v is a copy of a."""
    draw = torch.Generator().manual_seed(seed)
    n = TRAINING + VALIDATION + TEST
    y = torch.randint(4, (n,), generator=draw)
    x = {}
    for m in "avt":
        lengths = torch.randint(1, 5, (n,), generator=draw)
        utterances = means(m)[y] + torch.randn(n, SIZE, generator=draw)
        frames = utterances.repeat_interleave(lengths, 0)
        frames = frames + 0.3 * torch.randn(frames.shape, generator=draw)
        x[m] = Sequences(frames, lengths.cumsum(0) - lengths, lengths)
    if copied:
        x["v"] = x["a"]
    ends = [0, TRAINING, TRAINING + VALIDATION, n]
    rows = {
        role: torch.arange(first, end)
        for role, first, end in zip(("train", "validation", "test"), ends, ends[1:], strict=False)
    }
    return Corpus(x, y, rows, np.array([f"u{i}" for i in range(n)], object), CLASSES)


def trained(name, corpus, seed):
    """Train a system, after its pretraining."""
    options = {"seed": seed, "precision": "float32", "on_epoch": lambda row: None}
    kind, sizes = small.load("systems", name).PRETRAINING, corpus.sizes()
    encoders = None
    if kind:
        pretraining = small.pretraining(kind, seed, sizes, **ROOMY)
        loop.fit(pretraining, corpus, SETTINGS, **options)
        encoders = pretraining.encoders
    system = small.system(name, seed, sizes, encoders=encoders, **ROOMY)
    loop.fit(system, corpus, SETTINGS, **options)
    return system


def accuracy(system, corpus, condition):
    """Accuracy on the test utterances."""
    predicted, _ = predict(system, corpus, "test", [condition], "float32")
    return (predicted[condition].O.argmax(1) == corpus.y[corpus.rows["test"]]).double().mean().item()


# Shuffled labels.


def shuffled(corpus, seed):
    """Permute the labels over all roles."""
    order = torch.randperm(len(corpus.y), generator=torch.Generator().manual_seed(seed))
    return corpus._replace(y=corpus.y[order])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["if_mmin", "mmin", "late_fusion_per_condition"])
def test_shuffled_labels_give_chance_and_true_labels_do_not(name):
    """Chance is 1/4. Over 2000 test utterances (two seeds) its std is 0.0097; the bound is four stds, 0.039.

    The mean over conditions has a smaller std than a single condition.
    """
    chance, true = [], []
    for seed in (0, 1):
        corpus = generated(seed)
        system = trained(name, shuffled(corpus, seed), seed)
        chance += [accuracy(system, shuffled(corpus, seed), c) for c in CONDITIONS]
        if seed == 0:
            system = trained(name, corpus, seed)
            true += [accuracy(system, corpus, c) for c in CONDITIONS]

    assert abs(np.mean(chance) - 0.25) < 0.039
    assert np.mean(true) > 0.4


# A duplicated modality.


def best_accuracy(corpus, m):
    """Accuracy of the Bayes-optimal rule for one modality: the nearest class mean.

    Classes are equally likely, and the mean of an utterance's frames is a sufficient statistic with an
    isotropic normal distribution around the class mean.
    """
    x = corpus.x[m].select(corpus.rows["test"])
    frame_means = torch.stack(
        [x.frames[o : o + n].mean(0) for o, n in zip(x.start.tolist(), x.lengths.tolist(), strict=True)]
    )
    predicted = torch.cdist(frame_means, means(m)).argmin(1)
    return (predicted == corpus.y[corpus.rows["test"]]).double().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["late_fusion_per_condition", "if_mmin"])
def test_a_duplicated_modality_adds_no_information(name):
    """With v a copy of a, no system that reads {a, v} is more accurate than the best rule for a.

    The bound allows for chance: if two classifiers agree on two thirds of 2000 utterances, their difference
    in accuracy has a std of at most sqrt(1 / 3 / 2000) = 0.013; three stds are 0.039. With an independent v,
    {a, v} exceeds this bound.
    """
    copied, independent = [], []
    for seed in (0, 1):
        for gains, corpus in ((copied, generated(seed, copied=True)), (independent, generated(seed))):
            gains.append(accuracy(trained(name, corpus, seed), corpus, "av") - best_accuracy(corpus, "a"))

    assert np.mean(copied) < 0.039 < np.mean(independent)


# Permuted classes.

ORDER = torch.tensor([2, 0, 3, 1])
"""Class k becomes class ORDER[k]."""


def with_permuted_classes(network):
    """Copy the network with its classes permuted."""
    other = deepcopy(network)
    with torch.no_grad():
        for old, new in zip(network.modules(), other.modules(), strict=True):
            if isinstance(old, Classifier):
                new.out.weight[ORDER], new.out.bias[ORDER] = old.out.weight, old.out.bias
    return other


@pytest.mark.parametrize("name", small.ALL)
def test_logits_follow_a_permutation_of_the_classes_exactly(corpus, name):
    """So do the predictions of every condition, in the table that evaluate writes."""
    network = small.distinct(small.network(name), scale=1.0)
    with torch.no_grad():
        network.precompute_targets(corpus.select(corpus.rows["train"]))
    other = corpus._replace(y=ORDER[corpus.y], classes=[corpus.classes[k] for k in ORDER.argsort()])

    tables = []
    for system, data in ((network, corpus), (with_permuted_classes(network), other)):
        predicted, _ = predict(system, data, "test", (*CONDITIONS, FULL), "float32")
        tables.append(tabulation.tables(predicted, data, "test")[0])

    original, permuted = tables
    for column in ("label", "predicted"):
        assert (permuted[column] == ORDER.numpy()[original[column]]).all()
    before, after = (table.filter(like="logit_") for table in tables)
    pd.testing.assert_frame_equal(after[before.columns], before, check_exact=True)
    assert (after.to_numpy() != before.to_numpy()).any()


@pytest.mark.parametrize("name", small.ALL)
def test_training_follows_a_permutation_of_the_classes(corpus, name):
    """Five steps in float64. At the first step, losses without classes are bitwise equal."""
    corpus = corpus._replace(x={m: x._replace(frames=x.frames.double()) for m, x in corpus.x.items()})
    network = small.distinct(small.network(name).double())
    pair = [(network, corpus), (with_permuted_classes(network), corpus._replace(y=ORDER[corpus.y]))]
    rows = corpus.rows["train"]
    masks = draw_masks(len(rows), torch.Generator().manual_seed(1))

    losses = []
    for system, data in pair:
        torch.manual_seed(0)
        batch = small.batch_of(system, data, rows, masks)
        optimiser, steps = loop.adam(system, SETTINGS), []
        for _ in range(5):
            steps.append(system.training_losses(batch))
            loop.step(system, steps[-1]["L"], optimiser, 1.0)
        losses.append(steps)

    for name in set(losses[0][0]) - {"L", "L_cls"}:
        assert torch.equal(losses[0][0][name], losses[1][0][name])
    for before, after in zip(*losses, strict=True):
        torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
    expected = with_permuted_classes(network).state_dict()
    for name, x in pair[1][0].state_dict().items():
        torch.testing.assert_close(x, expected[name], rtol=1e-6, atol=1e-9)


def test_permuting_only_the_network_s_classes_changes_the_loss(corpus):
    network = small.distinct(small.network("if_mmin"), scale=1.0)
    batch = small.batch_of(network, corpus, torch.arange(12), draw_masks(12, torch.Generator()))

    network.eval()
    with torch.no_grad():
        L, other = (n.training_losses(batch)["L_cls"] for n in (network, with_permuted_classes(network)))

    assert abs(L - other) > 1e-3


def test_tables_follow_a_permutation_of_the_classes():
    """WA exactly, UA up to its summation order, counts and recalls class by class."""
    draw, order = np.random.default_rng(0), ORDER.numpy()
    runs = {
        ("x", fold, 0): pd.DataFrame(
            {
                "condition": np.repeat([*CONDITIONS, FULL], 40),
                "label": draw.integers(4, size=280),
                "predicted": draw.integers(4, size=280),
            }
        )
        for fold in (1, 2)
    }
    permuted = {
        key: table.assign(label=order[table["label"]], predicted=order[table["predicted"]])
        for key, table in runs.items()
    }
    names = [CLASSES[k] for k in order.argsort()]

    original, reordered = table1.scores(runs, 4), table1.scores(permuted, 4)
    assert (original["wa"] == reordered["wa"]).all()
    np.testing.assert_allclose(reordered["ua"], original["ua"], rtol=0, atol=1e-15)
    for table in (table1.confusions, table1.recalls):
        before, after = table(runs, CLASSES), table(permuted, names)
        keys = [c for c in before if c in ("system", "condition", "actual", "predicted", "class")]
        pd.testing.assert_frame_equal(
            before.sort_values(keys, ignore_index=True),
            after.sort_values(keys, ignore_index=True),
            check_exact=True,
        )

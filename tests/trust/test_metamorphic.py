"""What a change of the question must do to the answer, whatever the answer is."""

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
"""Length of a class mean in deviations of an utterance: one modality tells half of the utterances right."""


def means(m):
    """A mean for each class in a modality, (4, SIZE): corners of a simplex, turned."""
    draw = torch.Generator().manual_seed(ord(m))
    return SIGNAL * 2**0.5 * torch.linalg.qr(torch.randn(SIZE, SIZE, generator=draw))[0]


def told(seed, *, copied=False):
    """Utterances whose modalities are independent, given the class; or whose v is a copy of their a."""
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
        role: torch.arange(first, behind)
        for role, first, behind in zip(("train", "validation", "test"), ends, ends[1:], strict=False)
    }
    return Corpus(x, y, rows, np.array([f"u{i}" for i in range(n)], object), CLASSES)


def taught(name, corpus, seed):
    """A system, after its pretraining."""
    how = {"seed": seed, "precision": "float32", "on_epoch": lambda row: None}
    kind, sizes = small.load("systems", name).PRETRAINING, corpus.sizes()
    encoders = None
    if kind:
        before = small.pretraining(kind, seed, sizes, **ROOMY)
        loop.fit(before, corpus, SETTINGS, **how)
        encoders = before.encoders
    system = small.system(name, seed, sizes, encoders=encoders, **ROOMY)
    loop.fit(system, corpus, SETTINGS, **how)
    return system


def accuracy(system, corpus, condition):
    """Share of test utterances that are right."""
    predicted, _ = predict(system, corpus, "test", [condition], "float32")
    return (predicted[condition].O.argmax(1) == corpus.y[corpus.rows["test"]]).double().mean().item()


# Labels that mean nothing.


def shuffled(corpus, seed):
    """Labels in another order, over all roles."""
    order = torch.randperm(len(corpus.y), generator=torch.Generator().manual_seed(seed))
    return corpus._replace(y=corpus.y[order])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["if_mmin", "mmin", "late_fusion_per_condition"])
def test_shuffled_labels_give_chance_and_true_ones_do_not(name):
    """Chance is 1/4. Of 2000 test utterances, two seeds of 1000, it strays by 0.0097; 4 of that are 0.039.

    The mean over conditions strays less than one condition does.
    """
    chance, true = [], []
    for seed in (0, 1):
        corpus = told(seed)
        system = taught(name, shuffled(corpus, seed), seed)
        chance += [accuracy(system, shuffled(corpus, seed), c) for c in CONDITIONS]
        if seed == 0:
            system = taught(name, corpus, seed)
            true += [accuracy(system, corpus, c) for c in CONDITIONS]

    assert abs(np.mean(chance) - 0.25) < 0.039
    assert np.mean(true) > 0.4


# A modality twice.


def best(corpus, m):
    """Accuracy of the best rule there is for one modality: the nearest class mean.

    Classes are equally likely, and the mean of an utterance's frames is all that they say of its class: it is
    normal about the class mean, alike in all directions.
    """
    x = corpus.x[m].select(corpus.rows["test"])
    at = torch.stack(
        [x.frames[o : o + n].mean(0) for o, n in zip(x.start.tolist(), x.lengths.tolist(), strict=True)]
    )
    return (torch.cdist(at, means(m)).argmin(1) == corpus.y[corpus.rows["test"]]).double().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["late_fusion_per_condition", "if_mmin"])
def test_a_modality_twice_tells_no_more_than_once(name):
    """With v a copy of a, nothing that reads {a, v} is right more often than the best rule for a.

    But by luck: the difference of two shares of 2000 utterances, of which both call most alike, say two
    thirds, strays by at most sqrt(1 / 3 / 2000) = 0.013; 3 of that are 0.039. Where v is another modality,
    {a, v} does better than that.
    """
    copied, apart = [], []
    for seed in (0, 1):
        for gains, corpus in ((copied, told(seed, copied=True)), (apart, told(seed))):
            gains.append(accuracy(taught(name, corpus, seed), corpus, "av") - best(corpus, "a"))

    assert np.mean(copied) < 0.039 < np.mean(apart)


# Classes in another order.

ORDER = torch.tensor([2, 0, 3, 1])
"""Class k becomes class ORDER[k]."""


def reordered(network):
    """The network with its classes in another order."""
    other = deepcopy(network)
    with torch.no_grad():
        for old, new in zip(network.modules(), other.modules(), strict=True):
            if isinstance(old, Classifier):
                new.out.weight[ORDER], new.out.bias[ORDER] = old.out.weight, old.out.bias
    return other


@pytest.mark.parametrize("name", small.ALL)
def test_logits_follow_the_order_of_classes_to_the_last_bit(corpus, name):
    """And with them the predictions of every condition, as evaluate lays them out."""
    network = small.distinct(small.network(name), scale=1.0)
    with torch.no_grad():
        network.precompute_targets(corpus.select(corpus.rows["train"]))
    other = corpus._replace(y=ORDER[corpus.y], classes=[corpus.classes[k] for k in ORDER.argsort()])

    tables = []
    for of, on in ((network, corpus), (reordered(network), other)):
        predicted, _ = predict(of, on, "test", (*CONDITIONS, FULL), "float32")
        tables.append(tabulation.tables(predicted, on, "test")[0])

    same, moved = tables
    for column in ("label", "predicted"):
        assert (moved[column] == ORDER.numpy()[same[column]]).all()
    pd.testing.assert_frame_equal(
        moved.filter(like="logit_")[same.filter(like="logit_").columns],
        same.filter(like="logit_"),
        check_exact=True,
    )
    assert (moved.filter(like="logit_").to_numpy() != same.filter(like="logit_").to_numpy()).any()


@pytest.mark.parametrize("name", small.ALL)
def test_a_training_follows_the_order_of_classes(corpus, name):
    """Float64, five steps. At the first, losses without classes are the same to the last bit."""
    corpus = corpus._replace(x={m: of._replace(frames=of.frames.double()) for m, of in corpus.x.items()})
    network = small.distinct(small.network(name).double())
    pair = [(network, corpus), (reordered(network), corpus._replace(y=ORDER[corpus.y]))]
    rows = corpus.rows["train"]
    masks = draw_masks(len(rows), torch.Generator().manual_seed(1))

    losses = []
    for of, on in pair:
        torch.manual_seed(0)
        batch = small.batch_of(of, on, rows, masks)
        optimiser, told = loop.adam(of, SETTINGS), []
        for _ in range(5):
            told.append(of.training_losses(batch))
            loop.step(of, told[-1]["L"], optimiser, 1.0)
        losses.append(told)

    for name in set(losses[0][0]) - {"L", "L_cls"}:
        assert torch.equal(losses[0][0][name], losses[1][0][name])
    for before, after in zip(*losses, strict=True):
        torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
    expected = reordered(network).state_dict()
    for name, x in pair[1][0].state_dict().items():
        torch.testing.assert_close(x, expected[name], rtol=1e-6, atol=1e-9)


def test_a_network_whose_classes_have_another_order_than_its_labels_would_be_found(corpus):
    network = small.distinct(small.network("if_mmin"), scale=1.0)
    batch = small.batch_of(network, corpus, torch.arange(12), draw_masks(12, torch.Generator()))

    network.eval()
    with torch.no_grad():
        L, other = network.training_losses(batch)["L_cls"], reordered(network).training_losses(batch)["L_cls"]

    assert abs(L - other) > 1e-3


def test_tables_follow_the_order_of_classes():
    """WA to the last bit; UA but for the order of its sum; counts and recalls class by class."""
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
    moved = {
        key: table.assign(label=order[table["label"]], predicted=order[table["predicted"]])
        for key, table in runs.items()
    }
    names = [CLASSES[k] for k in order.argsort()]

    same, other = table1.scores(runs, 4), table1.scores(moved, 4)
    assert (same["wa"] == other["wa"]).all()
    np.testing.assert_allclose(other["ua"], same["ua"], rtol=0, atol=1e-15)
    for table in (table1.confusions, table1.recalls):
        before, after = table(runs, CLASSES), table(moved, names)
        keys = [c for c in before if c in ("system", "condition", "actual", "predicted", "class")]
        pd.testing.assert_frame_equal(
            before.sort_values(keys, ignore_index=True),
            after.sort_values(keys, ignore_index=True),
            check_exact=True,
        )

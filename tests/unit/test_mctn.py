"""MCTN: fixed-length sequences, translations, losses, and what a prediction reads."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from conftest import SIZES, draw_sequences, needs_bf16
from ifmmin.core.terms import CONDITIONS
from ifmmin.nn.protocol import Batch
from ifmmin.nn.sequences import Sequences
from ifmmin.systems import mctn
from ifmmin.systems.mctn import Head, Translation, attention_pool, resampled
from ifmmin.training import loop
from ifmmin.training.prediction import predict

MCTN = {
    "sizes": SIZES,
    "n_classes": 4,
    "hidden": 6,
    "steps": 3,
    "classifier": [7],
    "dropout": 0.0,
    "translation_weight": 0.3,
}
PLAN = {
    "a": ("a", "t", "v"),
    "v": ("v", "t", "a"),
    "t": ("t", "v", "a"),
    "av": ("av", "t"),
    "at": ("at", "v"),
    "vt": ("vt", "a"),
}
"""Source, target of level 1 and, for one modality, target of level 2; copied from the design document."""

each_condition = pytest.mark.parametrize("condition", CONDITIONS)
each_single = pytest.mark.parametrize("condition", ["a", "v", "t"])
each_pair = pytest.mark.parametrize("condition", ["av", "at", "vt"])


def translator(condition, seed=0, **changes):
    torch.manual_seed(seed)
    return mctn.translator(**{**MCTN, **changes}, condition=condition)


def six(seed=0):
    torch.manual_seed(seed)
    return mctn.build(**MCTN)


def batch(x, system):
    """A batch as the training loop makes it, with the system's standardised targets."""
    n = len(x["a"].lengths)
    return Batch(x, torch.ones(n, 3, dtype=torch.bool), torch.arange(n) % 4, system.standardised(x), 1)


def frames_of(x, row):
    return x.frames[x.start[row] :][: x.lengths[row]].numpy().astype(np.float64)


# Sequences of fixed length.


def sequence(values, extra=0.0):
    """One sequence of scalar frames that does not start at the first row of the table."""
    frames = torch.tensor([extra, *values, extra])[:, None]
    return Sequences(frames, torch.tensor([1]), torch.tensor([len(values)]))


@pytest.mark.parametrize(
    ("values", "steps", "expected"),
    [
        ([0.0, 10, 20, 30, 40], 2, [5, 30]),
        ([1.0, 3, 5, 7], 2, [2, 6]),
        ([1.0, 2, 3, 4, 5, 6, 7], 3, [1.5, 3.5, 6]),
        ([8.0, 4, 6], 1, [6]),
        ([8.0, 4, 6], 3, [8, 4, 6]),
        ([7.0, 9], 4, [7, 7, 9, 9]),
        ([1.0, 2, 3], 5, [1, 1, 2, 3, 3]),
        ([1.0, 2, 3, 4], 5, [1, 2, 3, 3, 4]),
        ([5.0], 1, [5]),
        ([5.0], 3, [5, 5, 5]),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
def test_binning_worked_out_by_hand(values, steps, expected):
    """5 frames in 2 bins: 0-1 and 2-4. 7 in 3: 0-1, 2-3, 4-6.

    3 frames in 5 bins: the bin centres 0.3, 0.9, 1.5, 2.1, 2.7 lie in frames 0, 0, 1, 2, 2.
    4 in 5: centres at 0.4, 1.2, 2.0, 2.8, 3.6; 2.0 is equally near to frames 1 and 2.
    """
    assert resampled(sequence(values), steps)[0, :, 0].tolist() == pytest.approx(expected)


def end_bin(t, steps, T):
    """The bin in which frame t ends, if `steps` equal bins cover T frames: (b T, (b + 1) T] / steps."""
    return next(b for b in range(steps) if Fraction(t + 1) <= Fraction((b + 1) * T, steps))


def reference(frames, steps):
    """Bin frame by frame into (steps, D); a tie goes to the later frame."""
    T = len(frames)
    if steps > T:
        centres = [Fraction((2 * b + 1) * T, 2 * steps) for b in range(steps)]
        return frames[[min(range(T), key=lambda t: (abs(t + Fraction(1, 2) - p), -t)) for p in centres]]
    bins = np.array([end_bin(t, steps, T) for t in range(T)])
    return np.stack([frames[bins == b].mean(0) for b in range(steps)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 13), min_size=1, max_size=5), st.integers(1, 8), st.integers(0, 999))
def test_binning_agrees_with_numpy(lengths, steps, seed):
    """Float32 against float64: means of a few values of size 1."""
    x = draw_sequences(lengths, 2, torch.Generator().manual_seed(seed))

    got = resampled(x, steps)

    assert got.dtype == torch.float32
    assert got.shape == (len(lengths), steps, 2)
    for row in range(len(lengths)):
        np.testing.assert_allclose(got[row], reference(frames_of(x, row), steps), rtol=0, atol=1e-6)


def test_frames_outside_a_sequence_are_not_read():
    """Frames before, between and after the sequences are NaN."""
    frames = torch.tensor([torch.nan, 1, 2, torch.nan, 3, 4, 5, torch.nan])[:, None]
    x = Sequences(frames, torch.tensor([1, 4]), torch.tensor([2, 3]))

    assert resampled(x, 2)[..., 0].tolist() == [[1, 2], [3, 4.5]]


# Translation.


def test_encoder_states_are_the_sum_of_both_directions():
    module = Translation(hidden=5).double()
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)).double()
    forward, backward = (nn.LSTM(5, 5, batch_first=True).double() for _ in range(2))
    weights = module.encoder.state_dict()
    forward.load_state_dict({k: w for k, w in weights.items() if not k.endswith("_reverse")})
    backward.load_state_dict(
        {k.removesuffix("_reverse"): w for k, w in weights.items() if k.endswith("_reverse")}
    )

    states = module.encode(x)

    expected = forward(x)[0] + backward(x.flip(1))[0].flip(1)
    torch.testing.assert_close(states, expected, rtol=0, atol=1e-12)


def decoded_step_by_step(module, states, scored):
    """The published decoder: each step rescores every state from the previous cell state."""
    cell = nn.LSTMCell(5, 5).double()
    cell.load_state_dict({k.removesuffix("_l0"): w for k, w in module.decoder.state_dict().items()})
    h = c = torch.zeros(len(states), 5).double()
    outputs = []
    for _ in range(states.shape[1]):
        weights = torch.softmax(scored(states, c), 1)  # (B, T)
        h, c = cell(torch.einsum("bt,btd->bd", weights, states), (h, c))
        outputs.append(h)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_the_previous_cell_state_cancels_in_a_linear_attention_score(scale):
    """The score is w e_j + w' c_{i-1}; the second term is the same for all j, so softmax ignores it."""
    draw = torch.Generator().manual_seed(1)
    module, states = Translation(hidden=5).double(), torch.randn(3, 4, 5, generator=draw).double()
    w, w_prime = module.attention.weight[0], scale * torch.randn(5, generator=draw).double()

    decoded = module.decode(states)

    published = decoded_step_by_step(
        module, states, lambda e, c: torch.einsum("btd,d->bt", e, w) + (c @ w_prime)[:, None]
    )
    torch.testing.assert_close(decoded, published, rtol=0, atol=1e-12)


def test_a_nonlinear_attention_score_would_change_the_translation():
    """Control for the test above: with tanh(w e_j + w' c_{i-1}) the weights change at each step."""
    draw = torch.Generator().manual_seed(1)
    module, states = Translation(hidden=5).double(), torch.randn(3, 4, 5, generator=draw).double()
    w, w_prime = module.attention.weight[0], torch.randn(5, generator=draw).double()

    other = decoded_step_by_step(
        module, states, lambda e, c: (torch.einsum("btd,d->bt", e, w) + (c @ w_prime)[:, None]).tanh()
    )

    assert (other - module.decode(states)).abs().max() > 1e-4


def test_attention_worked_out_by_hand():
    """Scores 0 and log 3 give the states 1 and 3 weights of 1/4 and 3/4."""
    states = torch.tensor([[[1.0], [3.0]]])

    assert attention_pool(states, torch.tensor([[[0.0], [np.log(3)]]])).item() == pytest.approx(2.5)


def test_the_head_pools_lstm_states_by_the_tanh_of_a_linear_score():
    head, joint = Head(hidden=5), torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))

    pooled = head(joint).detach()

    states = head.lstm(joint)[0].detach().double().numpy()
    weight, bias = (p.detach().double().numpy() for p in head.attention.parameters())
    exponential = np.exp(np.tanh(states @ weight[0] + bias))
    weights = exponential / exponential.sum(1, keepdims=True)
    np.testing.assert_allclose(pooled, (weights[..., None] * states).sum(1), rtol=0, atol=1e-6)


# Sources and targets.


@each_condition
def test_source_and_targets_cover_each_modality_once(condition):
    system = translator(condition)

    assert sorted("".join([condition, *mctn.TARGETS[condition]])) == ["a", "t", "v"]
    assert (condition, *mctn.TARGETS[condition]) == PLAN[condition]
    assert set(system.inputs) == {condition, PLAN[condition][1]}
    assert set(system.outputs) == set(PLAN[condition])


@each_condition
def test_a_second_level_exists_if_two_modalities_are_missing(condition, draw_x):
    system = translator(condition)

    names = system.training_losses(batch(draw_x(5), system)).keys()

    assert (system.level_2 is not None) == (len(condition) == 1)
    assert ("L_trans_2" in names) == (len(condition) == 1)
    assert list(system.networks()) == [
        *("inputs", "outputs", "level_1"),
        *(["level_2"] if len(condition) == 1 else []),
        *("head", "classifier"),
    ]


@each_condition
def test_every_parameter_of_a_translator_is_in_one_sub_network(condition):
    system = translator(condition)

    clipped = [id(p) for network in system.networks().values() for p in network.parameters()]

    assert sorted(clipped) == sorted(id(p) for p in system.parameters())


# Losses.


def test_the_loss_is_the_weighted_sum_of_its_terms(draw_x):
    system = translator("v")

    terms = {name: x.item() for name, x in system.training_losses(batch(draw_x(6), system)).items()}

    assert list(terms) == ["L", "L_cls", "L_trans_1", "L_cycle", "L_trans_2"]
    translations = terms["L_trans_1"] + terms["L_cycle"] + terms["L_trans_2"]
    assert terms["L"] == pytest.approx(terms["L_cls"] + 0.3 * translations, rel=1e-6)


def test_the_loss_of_a_pair_is_the_weighted_sum_of_its_terms(draw_x):
    system = translator("at", translation_weight=2.0)

    terms = {name: x.item() for name, x in system.training_losses(batch(draw_x(6), system)).items()}

    assert list(terms) == ["L", "L_cls", "L_trans_1", "L_cycle"]
    assert terms["L"] == pytest.approx(terms["L_cls"] + 2 * (terms["L_trans_1"] + terms["L_cycle"]), rel=1e-6)


def statistics(x, modalities):
    """Mean and std of the valid frames, modalities concatenated."""
    frames = [np.concatenate([frames_of(x[m], row) for row in range(len(x[m].lengths))]) for m in modalities]
    return np.concatenate([f.mean(0) for f in frames]), np.concatenate([f.std(0) for f in frames])


def standardised(x, modalities, steps):
    """Standardised bins in numpy: (B, steps, sum of D_m)."""
    mean, std = statistics(x, modalities)
    n = len(x["a"].lengths)
    rows = [
        np.concatenate([reference(frames_of(x[m], row), steps) for m in modalities], 1) for row in range(n)
    ]
    return (np.stack(rows) - mean) / std


def prepared(condition, x, **changes):
    system = translator(condition, **changes)
    system.precompute_targets(x)
    return system.eval()


@each_condition
def test_zero_translations_lose_the_mean_square_of_their_targets(draw_x, condition):
    """With output maps of 0, each loss is the mean square of its standardised target."""
    x = draw_x(7)
    system = prepared(condition, x)
    for p in system.outputs.parameters():
        nn.init.zeros_(p)

    losses = system.training_losses(batch(x, system))

    source, *targets = PLAN[condition]
    names = ["L_cycle", "L_trans_1", "L_trans_2"][: len(PLAN[condition])]
    for name, modalities in zip(names, (source, *targets), strict=True):
        expected = np.mean(standardised(x, modalities, 3) ** 2)
        assert losses[name].item() == pytest.approx(expected, rel=1e-5), name


@each_condition
def test_translation_losses_follow_the_wiring_of_the_levels(draw_x, condition):
    """Forward: source, level 1, target. Cycle: translation, level 1, source. Second: states, level 2."""
    x = draw_x(7)
    system = prepared(condition, x)

    losses = system.training_losses(batch(x, system))

    source, target, *second = PLAN[condition]
    wanted = {s: torch.from_numpy(standardised(x, s, 3)).float() for s in PLAN[condition]}
    states = system.level_1.encode(system.inputs[source](wanted[source]))
    translated = system.outputs[target](system.level_1.decode(states))
    translated_states = system.level_1.encode(system.inputs[target](translated))
    back = system.outputs[source](system.level_1.decode(translated_states))
    expected = {
        "L_trans_1": (translated - wanted[target]).square().mean(),
        "L_cycle": (back - wanted[source]).square().mean(),
    }
    if second:
        states = system.level_2.encode(states)
        second_translation = system.outputs[second[0]](system.level_2.decode(states))
        expected["L_trans_2"] = (second_translation - wanted[second[0]]).square().mean()
    O = system.classifier(system.head(states))
    expected["L_cls"] = -O.log_softmax(1)[torch.arange(7), torch.arange(7) % 4].mean()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-5), name


def reached(system, loss):
    """Names (two levels deep) of the modules that receive a gradient from a loss."""
    named = dict(system.named_parameters())
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return {
        ".".join(name.split(".")[:2])
        for name, gradient in zip(named, gradients, strict=True)
        if gradient is not None and gradient.any()
    }


LEVEL_1 = {"level_1.encoder", "level_1.attention", "level_1.decoder"}


@each_condition
def test_the_cycle_loss_also_trains_the_forward_translation(draw_x, condition):
    """The translation is not detached, so its output map is trained too."""
    system = translator(condition)
    source, target, *_ = PLAN[condition]

    losses = system.training_losses(batch(draw_x(6), system))

    forward = {f"inputs.{source}", f"outputs.{target}", *LEVEL_1}
    assert reached(system, losses["L_trans_1"]) == forward
    assert reached(system, losses["L_cycle"]) == {*forward, f"inputs.{target}", f"outputs.{source}"}


@each_single
def test_the_second_translation_trains_level_2_and_the_level_1_encoder(draw_x, condition):
    system = translator(condition)

    L_trans_2 = system.training_losses(batch(draw_x(6), system))["L_trans_2"]

    level_2 = {"level_2.encoder", "level_2.attention", "level_2.decoder"}
    assert reached(system, L_trans_2) == {
        f"inputs.{condition}",
        "level_1.encoder",
        *level_2,
        f"outputs.{PLAN[condition][2]}",
    }


@each_single
def test_the_classifier_reads_level_2_states_of_a_single_modality(draw_x, condition):
    system = translator(condition)

    L_cls = system.training_losses(batch(draw_x(6), system))["L_cls"]

    states = {f"inputs.{condition}", "level_1.encoder", "level_2.encoder"}
    assert reached(system, L_cls) == {
        *states,
        "head.lstm",
        "head.attention",
        "classifier.hidden",
        "classifier.out",
    }


@each_pair
def test_the_classifier_reads_level_1_states_of_a_pair(draw_x, condition):
    system = translator(condition)

    L_cls = system.training_losses(batch(draw_x(6), system))["L_cls"]

    assert reached(system, L_cls) == {
        f"inputs.{condition}",
        "level_1.encoder",
        "head.lstm",
        "head.attention",
        "classifier.hidden",
        "classifier.out",
    }


def calls(system, run):
    """How often each LSTM runs."""
    counts = dict.fromkeys((name for name, part in system.named_modules() if isinstance(part, nn.LSTM)), 0)

    def counted(name):
        def hook(*_):
            counts[name] += 1

        return hook

    hooks = [system.get_submodule(name).register_forward_hook(counted(name)) for name in counts]
    run()
    for hook in hooks:
        hook.remove()
    return counts


@each_condition
def test_level_1_runs_forward_and_back_and_level_2_only_forward(draw_x, condition):
    system, x = translator(condition), draw_x(4)

    counts = calls(system, lambda: system.training_losses(batch(x, system)))

    level_2 = {"level_2.encoder": 1, "level_2.decoder": 1} if len(condition) == 1 else {}
    assert counts == {"level_1.encoder": 2, "level_1.decoder": 2, **level_2, "head.lstm": 1}


@each_condition
def test_the_cycle_starts_from_the_translation_not_from_the_target(draw_x, condition):
    """Changing the first target changes L_trans_1 (and L) and no bit of the other losses."""
    system, x, other = translator(condition), draw_x(6), draw_x(6, seed=1)
    target = PLAN[condition][1]

    losses = system.training_losses(batch(x, system))
    changed = system.training_losses(batch({**x, target: other[target]}, system))

    assert {name for name in losses if not torch.equal(losses[name], changed[name])} == {"L", "L_trans_1"}


# Standardisation.


def in_a_larger_table(x, spoiled):
    """The same sequences stored in reverse order, with spoiled frames before, between and after them."""
    n, size = len(x.lengths), x.frames.shape[1]
    gap, pieces, start, at = torch.full((2, size), spoiled), [], torch.zeros(n, dtype=torch.int64), 2
    for row in reversed(range(n)):
        piece = x.frames[x.start[row] :][: x.lengths[row]]
        pieces += [gap, piece]
        start[row], at = at, at + len(piece) + 2
    return Sequences(torch.cat([*pieces, gap]), start, x.lengths)


@pytest.mark.parametrize("at_once", [4, 256])
def test_mean_and_std_are_those_of_the_valid_frames(draw_x, monkeypatch, at_once):
    """Lengths differ and every frame counts once; frames outside the sequences are NaN."""
    monkeypatch.setattr("ifmmin.nn.sequences.GROUP_ROWS", at_once)
    x = draw_x(11)
    assert len(set(x["a"].lengths.tolist())) > 3
    system = translator("a")

    targets = system.precompute_targets({m: in_a_larger_table(x[m], torch.nan) for m in "avt"})

    for m in "avt":
        mean, std = statistics(x, m)
        np.testing.assert_allclose(targets[m], standardised(x, m, 3), rtol=0, atol=1e-5)
        np.testing.assert_allclose(getattr(system, f"mean_{m}"), mean, rtol=0, atol=1e-6)
        np.testing.assert_allclose(getattr(system, f"deviation_{m}"), std, rtol=1e-6)


def test_the_std_is_accurate_far_from_zero():
    """A std of 1 around a mean of 10,000, which float32 sums of squares would lose."""
    frames = torch.randn(400, 1, generator=torch.Generator().manual_seed(0)) + 10_000
    x = Sequences(frames, torch.arange(0, 400, 40), torch.full((10,), 40))
    system = translator("a", sizes=dict.fromkeys("avt", 1))

    system.precompute_targets(dict.fromkeys("avt", x))

    assert system.deviation_v.item() == pytest.approx(frames.double().numpy().std(), rel=1e-4)


def test_training_standardises_with_training_frames_only(corpus):
    """Frames of the other roles are larger by 50; the selected weights keep the training statistics."""
    rest = torch.cat([corpus.rows["validation"], corpus.rows["test"]])
    for m in "avt":
        for row in rest.tolist():
            corpus.x[m].frames[corpus.x[m].start[row] :][: corpus.x[m].lengths[row]] += 50
    system = six()

    loop.fit(
        system,
        corpus,
        loop.Settings(1, 0, 12, 0.01, 0.9, 1.0, "warn", 1),
        seed=0,
        precision="float32",
        on_epoch=lambda row: None,
    )

    train = corpus.select(corpus.rows["train"])
    for c in CONDITIONS:
        for m in "avt":
            mean, std = statistics(train, m)
            np.testing.assert_allclose(getattr(system.members[c], f"mean_{m}"), mean, rtol=0, atol=1e-5)
            np.testing.assert_allclose(getattr(system.members[c], f"deviation_{m}"), std, rtol=1e-5)


def constant(values, rows, length):
    """Sequences in which every frame is the same."""
    frames = torch.tensor(values).expand(rows * length, len(values)).contiguous()
    return Sequences(frames, torch.arange(rows) * length, torch.full((rows,), length))


def losses_with_zero_outputs(x, size):
    """Losses of a translator whose outputs are 0, with x as every modality."""
    x = dict.fromkeys("avt", x)
    system = prepared("av", x, sizes=dict.fromkeys("avt", size), steps=7)
    for p in system.outputs.parameters():
        nn.init.zeros_(p)
    return system.training_losses(batch(x, system))


def test_a_constant_dimension_gives_finite_losses():
    losses = losses_with_zero_outputs(constant([0.0, 0.1], 6, 5), 2)

    assert all(loss.isfinite() for loss in losses.values())


def test_a_constant_dimension_standardises_to_zero():
    """For any constant: a std that is only rounding error counts as 0."""
    values = torch.randn(30, generator=torch.Generator().manual_seed(1)).tolist()

    losses = losses_with_zero_outputs(constant(values, 300, 25), 30)

    assert losses["L_cycle"].item() == pytest.approx(0, abs=1e-6)
    assert losses["L_trans_1"].item() == pytest.approx(0, abs=1e-6)


# Prediction reads only the source.


def logits(system, x, condition):
    with torch.no_grad():
        return system.predict(system.encode(x), [condition])[condition].O


def spoiled(x, condition, defect):
    """Replace the missing modalities by NaN frames or by sequences of another length."""
    spoil = {
        "nan": lambda m: Sequences(torch.full_like(x[m].frames, torch.nan), *x[m][1:]),
        "short": lambda m: x[m]._replace(lengths=torch.ones_like(x[m].lengths)),
        "long": lambda m: Sequences(
            x[m].frames, torch.zeros_like(x[m].start), torch.full_like(x[m].lengths, len(x[m].frames))
        ),
    }[defect]
    return {m: x[m] if m in condition else spoil(m) for m in x}


@pytest.mark.parametrize("defect", ["nan", "short", "long"])
@each_condition
def test_a_missing_modality_changes_no_bit_of_a_prediction(draw_x, condition, defect):
    x, system = draw_x(9), six().eval()
    system.precompute_targets(x)

    got = logits(system, spoiled(x, condition, defect), condition)

    assert torch.equal(got, logits(system, x, condition))
    assert got.isfinite().all()


@each_condition
def test_a_single_translator_reads_no_missing_modality(draw_x, condition):
    x, system = draw_x(9), translator(condition).eval()

    got = logits(system, spoiled(x, condition, "nan"), condition)

    assert torch.equal(got, logits(system, x, condition))


def test_a_translator_predicts_only_its_own_condition(draw_x):
    system = translator("at")

    predicted = system.predict(system.encode(draw_x(3)), (*CONDITIONS, "avt"))

    assert list(predicted) == ["at"]
    assert predicted["at"].H_prime is None


@each_condition
def test_every_available_modality_affects_the_prediction(draw_x, condition):
    x, other, system = draw_x(9), draw_x(9, seed=1), six().eval()

    for m in condition:
        assert not torch.equal(logits(system, {**x, m: other[m]}, condition), logits(system, x, condition))


@each_condition
def test_prediction_runs_no_decoder(draw_x, condition):
    """All weights that only translation needs are NaN: attention, decoders, input and output maps."""
    x, system = draw_x(5), six().eval()
    expected = logits(system, x, condition)
    source = PLAN[condition][0]
    kept = (f"inputs.{source}.", "level_1.encoder.", "level_2.encoder.", "head.", "classifier.")
    member, without = system.members[condition], set()
    with torch.no_grad():
        for name, p in member.named_parameters():
            if not name.startswith(kept):
                p.fill_(torch.nan)
                without.add(".".join(name.split(".")[:2]))

    assert {
        "level_1.attention",
        "level_1.decoder",
        *(f"outputs.{s}" for s in PLAN[condition]),
    } <= without
    assert torch.equal(logits(system, x, condition), expected)


@each_condition
def test_training_and_prediction_read_the_same_joint_representation(draw_x, condition):
    """L_cls is the cross entropy of the predicted logits."""
    x = draw_x(8)
    system = prepared(condition, x)

    L_cls = system.training_losses(batch(x, system))["L_cls"].item()

    O = logits(system, x, condition)
    assert L_cls == pytest.approx(-O.log_softmax(1)[torch.arange(8), torch.arange(8) % 4].mean().item())


def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(draw_x):
    """Up to rounding: other batch shapes sum in another order."""
    x, system = draw_x(12), six().eval()
    together = {c: logits(system, x, c) for c in CONDITIONS}

    for row in (0, 5, 11):
        alone = {m: x[m].select(torch.tensor([row])) for m in "avt"}
        for c in CONDITIONS:
            torch.testing.assert_close(logits(system, alone, c)[0], together[c][row], rtol=0, atol=1e-6)


# Training.


def test_a_translator_learns_to_separate_the_classes(corpus):
    """Class means are a few stds apart and chance is 1/4; the translation losses fall too."""
    system = translator("v", hidden=16, classifier=[16])
    settings = loop.Settings(8, 2, 6, 0.01, 0.9, 1.0, "stop", 1)

    history = loop.fit(
        system, corpus, settings, seed=0, precision="float32", on_epoch=lambda row: None
    ).history

    assert history["validation_ua"].max() > 0.7
    for name in ("L_cls", "L_trans_1", "L_cycle", "L_trans_2"):
        assert history[name].iloc[-1] < 0.8 * history[name].iloc[0], name


@needs_bf16
def test_training_in_bf16_is_finite_and_keeps_float32_weights(corpus):
    system = six()
    settings = loop.Settings(1, 1, 12, 0.01, 0.9, 1.0, "warn", 1)

    history = loop.fit(system, corpus, settings, seed=0, precision="bf16", on_epoch=lambda row: None).history

    assert np.isfinite(history.to_numpy()).all()
    assert {x.dtype for x in system.state_dict().values()} == {torch.float32}
    predicted, _ = predict(system, corpus, "test", CONDITIONS, "bf16")
    assert all(p.O.dtype == torch.float32 for p in predicted.values())

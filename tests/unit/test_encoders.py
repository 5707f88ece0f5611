"""The encoders: values, missing modalities, and independence of the batch."""

import json

import numpy as np
import pytest
import torch

from conftest import SIZES, draw_sequences
from ifmmin.core.terms import CONDITIONS, availability
from ifmmin.nn.encoders import Encoders, InvarianceEncoder, LSTMMaxPool, TextCNN, assembled, concatenated
from ifmmin.nn.protocol import Batch
from ifmmin.nn.sequences import Sequences, from_padded, placeholder

MASKS = torch.tensor([availability(condition) for condition in CONDITIONS])
"""The six conditions, one row each."""


def arrays(module):
    return {name: p.detach().numpy().astype(np.float64) for name, p in module.named_parameters()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_states(x, w):
    """The hidden states of an LSTM, from its equations: gates i, f, g, o."""
    size = w["lstm.weight_hh_l0"].shape[1]
    h, c, states = np.zeros(size), np.zeros(size), []
    for frame in x:
        gates = w["lstm.weight_ih_l0"] @ frame + w["lstm.bias_ih_l0"]
        gates = gates + w["lstm.weight_hh_l0"] @ h + w["lstm.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def frames_of(x, row):
    return x.frames[x.start[row] :][: x.lengths[row]].numpy().astype(np.float64)


def test_enc_a_is_the_maximum_of_the_lstm_states_over_valid_frames(draw_x):
    """Float32 against float64: a few dozen roundings of numbers below 1."""
    x = draw_x(20)["a"]
    encoder = LSTMMaxPool(size=SIZES["a"], hidden=6)

    h = encoder.head(encoder.pool(x)).detach()

    w = arrays(encoder)
    expected = [lstm_states(frames_of(x, row), w).max(0) for row in range(20)]
    torch.testing.assert_close(h.double(), torch.tensor(np.array(expected)), rtol=0, atol=1e-6)


def text_pool(x, w, heights):
    """Largest response of each filter; a text shorter than the kernel is padded to one window."""
    pooled = []
    for j, k in enumerate(heights):
        weight, bias = w[f"convolutions.{j}.weight"], w[f"convolutions.{j}.bias"]  # [filters, D, k]
        x_k = np.pad(x, ((0, max(0, k - len(x))), (0, 0)))
        windows = [(weight * x_k[i : i + k].T).sum((1, 2)) + bias for i in range(len(x_k) - k + 1)]
        pooled.append(np.maximum(np.max(windows, 0), 0))
    return np.concatenate(pooled)


@pytest.mark.parametrize("heights", [[3, 4, 5], [1], [2, 3]], ids=str)
def test_enc_t_is_max_pooled_convolutions_then_a_linear_layer_and_relu(draw_x, heights):
    """Lengths 1 to 5 with heights up to 5: most texts are shorter than the largest kernel."""
    x = draw_x(20)["t"]
    assert int(x.lengths.min()) == 1
    encoder = TextCNN(size=SIZES["t"], hidden=6, kernel_heights=heights, filters=4, dropout=0.5).eval()

    h = encoder.head(encoder.pool(x)).detach()

    w = arrays(encoder)
    pooled = [text_pool(frames_of(x, row), w, heights) for row in range(20)]
    expected = np.maximum(np.array(pooled) @ w["projection.weight"].T + w["projection.bias"], 0)
    torch.testing.assert_close(h.double(), torch.tensor(expected), rtol=0, atol=1e-6)


def test_a_one_frame_text_is_encoded_the_same_alone_and_in_a_batch():
    encoder = TextCNN(size=3, hidden=6, kernel_heights=[3, 4, 5], filters=4, dropout=0.5).eval()
    both = draw_sequences([1, 9], 3, torch.Generator().manual_seed(1))

    alone = encoder.pool(both.select(torch.tensor([0])))

    torch.testing.assert_close(encoder.pool(both)[:1], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("activation", ["leaky_relu", "tanh", "sigmoid"])
def test_enc_inv_of_depth_2_is_two_linear_layers_with_activations(activation):
    functions = {"leaky_relu": lambda u: np.where(u > 0, u, 0.01 * u), "tanh": np.tanh, "sigmoid": sigmoid}
    module = InvarianceEncoder(hidden=5, depth=2, activation=activation, dropout=0.5).eval()
    h = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))

    H = module(h).detach()

    expected = h.numpy().astype(np.float64)
    linear = [p for _, p in sorted(arrays(module).items(), key=lambda item: item[0])]
    for bias, weight in zip(linear[::2], linear[1::2], strict=True):
        expected = functions[activation](expected @ weight.T + bias)
    torch.testing.assert_close(H.double(), torch.tensor(expected), rtol=0, atol=1e-6)


def test_all_modalities_share_one_invariance_encoder(new_encoders):
    h = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))

    H_m = new_encoders().invariant(dict.fromkeys("avt", h))

    assert torch.equal(H_m["a"], H_m["v"])
    assert torch.equal(H_m["a"], H_m["t"])


def test_invariant_features_without_an_invariance_encoder_are_refused(new_encoders):
    with pytest.raises(ValueError, match="no invariance encoder; expected ones from invariant pretraining"):
        new_encoders(invariance_depth=0).invariant({})


def test_concatenation_is_in_the_order_a_v_t():
    features = {"t": torch.full((1, 2), 3.0), "a": torch.full((1, 2), 1.0), "v": torch.full((1, 2), 2.0)}

    assert concatenated(features).tolist() == [[1, 1, 2, 2, 3, 3]]


# Missing modalities.


def corrupted(x, available, corruption):
    """Corrupt the frames or the lengths of every missing modality."""
    result = {}
    for i, m in enumerate("avt"):
        frames, start, lengths = x[m].frames.clone(), x[m].start.clone(), x[m].lengths.clone()
        for row in (~available[:, i]).nonzero().flatten().tolist():
            if corruption == "nan":
                frames[start[row] : start[row] + lengths[row]] = torch.nan
            else:
                start[row], lengths[row] = 0, len(frames) if corruption == "long" else 1
        result[m] = Sequences(frames, start, lengths)
    return result


each_corruption = pytest.mark.parametrize("corruption", ["nan", "long", "short"])


@each_corruption
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_features_of_a_missing_modality_do_not_affect_the_encoding(
    new_encoders, draw_x, corruption, training
):
    encoders, x, available = new_encoders().train(training), draw_x(18), MASKS.repeat(3, 1)
    torch.manual_seed(1)
    expected = encoders.encode(x, available)
    torch.manual_seed(1)

    got = encoders.encode(corrupted(x, available, corruption), available)

    for m in "avt":
        assert torch.equal(got[m], expected[m])
        assert got[m].isfinite().all()


@each_corruption
def test_features_of_a_missing_modality_do_not_affect_losses_or_gradients(new_system, draw_x, corruption):
    """The teacher reads the full input, the student the available modalities."""
    x, available = draw_x(18), MASKS.repeat(3, 1)
    results = []
    for inputs in (x, corrupted(x, available, corruption)):
        system = new_system()
        with torch.no_grad():
            targets = system.eval().precompute_targets(x)
        system.train()
        torch.manual_seed(1)
        losses = system.training_losses(Batch(inputs, available, torch.arange(18) % 4, targets, 1))
        losses["L"].backward()
        results.append((losses, {name: p.grad for name, p in system.named_parameters()}))

    (losses, gradients), (losses_2, gradients_2) = results
    assert {name: value.item() for name, value in losses.items()} == {
        name: value.item() for name, value in losses_2.items()
    }
    for name, gradient in gradients.items():
        assert torch.equal(gradient, gradients_2[name]), name
        assert gradient.isfinite().all(), name


@each_corruption
@pytest.mark.parametrize("condition", CONDITIONS)
def test_features_of_a_missing_modality_do_not_affect_predictions(new_system, draw_x, corruption, condition):
    system, x = new_system().eval(), draw_x(10)
    available = torch.tensor([availability(condition)]).expand(10, 3)
    with torch.no_grad():
        expected = system.predict(system.encode(x), [condition])[condition]

        got = system.predict(system.encode(corrupted(x, available, corruption)), [condition])[condition]

    assert torch.equal(got.O, expected.O)
    assert torch.equal(got.H_prime, expected.H_prime)
    assert got.O.isfinite().all()


def test_a_missing_modality_is_the_embedding_of_the_zero_placeholder(new_encoders, draw_x):
    encoders, x = new_encoders().eval(), draw_x(6)

    h_m = encoders.encode(x, MASKS)

    for i, m in enumerate("avt"):
        encoder = encoders.specificity[m]
        zeros = placeholder({"a": 4, "v": 3, "t": 2}[m], SIZES[m], torch.zeros(1))
        embedding = encoder.head(encoder.pool(zeros))
        for row in (~MASKS[:, i]).nonzero().flatten():
            torch.testing.assert_close(h_m[m][row], embedding[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(encoders.missing()[m], embedding, rtol=0, atol=0)


def test_an_available_modality_is_encoded_as_in_the_full_input(new_encoders, draw_x):
    encoders, x = new_encoders().eval(), draw_x(6)

    masked, full = encoders.encode(x, MASKS), encoders.encode(x)

    for i, m in enumerate("avt"):
        rows = MASKS[:, i]
        torch.testing.assert_close(masked[m][rows], full[m][rows], rtol=0, atol=1e-6)


@pytest.mark.parametrize("condition", ["a", "vt"])
def test_a_batch_of_a_single_condition_is_encoded(new_encoders, draw_x, condition):
    """Each modality is available in every utterance or in none."""
    encoders, x = new_encoders().eval(), draw_x(5)
    available = torch.tensor([availability(condition)]).expand(5, 3)

    h_m = encoders.encode(x, available)

    full = assembled(encoders.encode(x), encoders.missing(), condition)
    for m in "avt":
        torch.testing.assert_close(h_m[m], full[m], rtol=0, atol=1e-6)


def test_assembled_ignores_nan_in_a_missing_modality():
    h_m = {m: torch.full((1, 2), torch.nan) for m in "av"} | {"t": torch.tensor([[5.0, 6.0]])}
    missing = {m: torch.tensor([[1.0, 2.0]]) for m in "avt"}

    got = assembled(h_m, missing, "t")

    assert {m: h.tolist() for m, h in got.items()} == {"a": [[1, 2]], "v": [[1, 2]], "t": [[5, 6]]}


def test_assembled_needs_no_features_of_a_missing_modality():
    """Two utterances share the single row of the zero placeholder."""
    got = assembled({"v": torch.tensor([[5.0], [6.0]])}, {m: torch.tensor([[9.0]]) for m in "avt"}, "v")

    assert {m: h.tolist() for m, h in got.items()} == {"a": [[9], [9]], "v": [[5], [6]], "t": [[9], [9]]}


def test_the_embedding_of_the_zero_placeholder_has_a_gradient(new_encoders, draw_x):
    """A batch without any text still trains Enc_t."""
    encoders = new_encoders().eval()
    available = torch.tensor([[True, True, False]]).expand(4, 3)

    encoders.encode(draw_x(4), available)["t"].square().sum().backward()

    assert encoders.specificity["t"].projection.bias.grad.abs().sum() > 0


# Independence of the batch.


@pytest.fixture
def logits(new_system, draw_x):
    """Return a function that predicts rows of 40 utterances together, in every condition."""
    system, x = new_system().eval(), draw_x(40)
    conditions = (*CONDITIONS, "avt")

    def predicted(rows):
        with torch.no_grad():
            encoded = system.encode({m: x[m].select(torch.as_tensor(rows)) for m in "avt"})
            return torch.stack([system.predict(encoded, conditions)[c].O for c in conditions], 1)

    return predicted


def test_a_prediction_does_not_depend_on_the_rest_of_the_batch(logits):
    """Batches of other shapes round differently: 1e-6 for logits of about 1."""
    together = logits(range(40))

    for row in range(0, 40, 7):
        torch.testing.assert_close(logits([row])[0], together[row], rtol=0, atol=1e-6)


def test_a_prediction_does_not_depend_on_the_order(logits):
    rows = torch.randperm(40, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(logits(rows), logits(range(40))[rows], rtol=0, atol=1e-6)


def test_a_prediction_does_not_depend_on_the_batch_size(logits):
    parts = torch.cat([logits(range(i, min(i + 9, 40))) for i in range(0, 40, 9)])

    torch.testing.assert_close(parts, logits(range(40)), rtol=0, atol=1e-6)


def test_a_prediction_does_not_depend_on_padding(new_system, draw_x):
    system, x = new_system().eval(), draw_x(8)
    padded = {
        m: from_padded(
            torch.nn.functional.pad(x[m].padded().transpose(0, 1), (0, 0, 0, 30), value=9.0), x[m].lengths
        )
        for m in "avt"
    }
    with torch.no_grad():
        expected = system.predict(system.encode(x), ["avt"])["avt"].O

        got = system.predict(system.encode(padded), ["avt"])["avt"].O

    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_teacher_targets_are_features_and_placeholder_embeddings(new_system, draw_x):
    system, x = new_system().eval(), draw_x(5)
    h_m = system.encoders.encode(x)

    targets = system.precompute_targets(x)

    assert torch.equal(targets["h"], torch.cat([h_m["a"], h_m["v"], h_m["t"]], 1))
    assert torch.equal(targets["H"], torch.cat([system.encoders.invariance(h_m[m]) for m in "avt"], 1))
    missing = system.encoders.missing()
    assert torch.equal(targets["h_missing"], torch.cat([missing[m] for m in "avt"], 1).expand(5, -1))


def test_a_teacher_without_an_invariance_encoder_has_no_invariant_features(new_encoders, draw_x):
    assert new_encoders(invariance_depth=0).teacher_targets(draw_x(3)).keys() == {"h", "h_missing"}


# Encoders of a subset of the modalities.


SUBSETS = ["a", "t", "av", "at", "vt"]


@pytest.mark.parametrize("modalities", SUBSETS)
def test_encoders_of_a_subset_read_only_its_modalities(new_encoders, draw_x, modalities):
    """The other modalities have neither sequences nor sizes."""
    encoders, x = new_encoders(sizes={m: SIZES[m] for m in modalities}).eval(), draw_x(5)

    h_m = encoders.encode({m: x[m] for m in modalities})

    assert list(encoders.specificity) == list(h_m) == list(encoders.missing()) == list(modalities)
    for m in modalities:
        encoder = encoders.specificity[m]
        assert torch.equal(h_m[m], encoder.head(encoder.pool(x[m])))


@pytest.mark.parametrize("modalities", SUBSETS)
def test_features_of_a_subset_are_concatenated_in_order(modalities):
    columns = {"a": [1.0, 2.0], "v": [3.0, 4.0], "t": [5.0, 6.0]}
    features = {m: torch.tensor([columns[m]]) for m in reversed(modalities)}

    assert concatenated(features).tolist() == [[x for m in modalities for x in columns[m]]]


@pytest.mark.parametrize("changes", [{}, {"invariance_depth": 0}, {"sizes": {"v": 4, "t": 3}}], ids=str)
def test_encoders_can_be_rebuilt_from_their_settings(new_encoders, draw_x, changes):
    """The settings pass through JSON, as in the header of a weights file."""
    encoders, x = new_encoders(**changes).eval(), draw_x(4)

    rebuilt = Encoders(**json.loads(json.dumps(encoders.settings))).eval()
    rebuilt.load_state_dict(encoders.state_dict())

    for got, expected in ((rebuilt.encode(x), encoders.encode(x)), (rebuilt.missing(), encoders.missing())):
        assert {m: h.tolist() for m, h in got.items()} == {m: h.tolist() for m, h in expected.items()}


@pytest.mark.parametrize("form", ["rmse", "mse"])
def test_imagination_targets_depend_on_which_modalities_are_missing(new_system, draw_x, form):
    """Missing: h^m of the full input; available: the zero placeholder's embedding. Mean over 3 x hidden."""
    system, x = new_system(distance=form).eval(), draw_x(6)
    draw = torch.Generator().manual_seed(3)
    targets = {name: torch.randn(6, 18, generator=draw) for name in ("h", "h_missing", "H")}

    losses = system.training_losses(Batch(x, MASKS, torch.tensor([0, 1, 2, 3, 0, 1]), targets, 1))

    h_m = system.encoders.encode(x, MASKS)
    H_prime = concatenated(system.encoders.invariant(h_m))
    h_prime = system.imagination(concatenated(h_m), H_prime).h_prime
    squares = []
    for row, mask in enumerate(MASKS.tolist()):
        for block, available in enumerate(mask):
            part = slice(6 * block, 6 * block + 6)
            target = targets["h_missing" if available else "h"][row, part]
            squares += ((h_prime[row, part] - target) ** 2).tolist()
    root = np.sqrt if form == "rmse" else float
    assert losses["L_img"].item() == pytest.approx(root(np.mean(squares)), rel=1e-5)
    inv = ((H_prime - targets["H"]) ** 2).mean().item()
    assert losses["L_inv"].item() == pytest.approx(root(inv), rel=1e-5)


def test_the_loss_is_the_weighted_sum_of_its_terms(new_system, draw_x):
    system = new_system(lambda1=0.5, lambda2=7.0).eval()
    x = draw_x(6)
    targets = {name: torch.zeros(6, 18) for name in ("h", "h_missing", "H")}

    losses = system.training_losses(Batch(x, MASKS, torch.tensor([0, 1, 2, 3, 0, 1]), targets, 1))

    terms = {name: value.item() for name, value in losses.items()}
    assert terms["L"] == pytest.approx(terms["L_cls"] + 0.5 * terms["L_img"] + 7.0 * terms["L_inv"], rel=1e-6)

"""The ONNX graph of each system says what the system says, whatever lies in its padding."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from conftest import SIZES
from ifmmin.core.terms import CONDITIONS, FULL, availability
from ifmmin.deploy import export_settings, graph
from ifmmin.training.calibration import probabilities
from models import PER_CONDITION, SCALING, STARTS, header, known, model

each_system = pytest.mark.parametrize("name", STARTS)


@cache
def traced(name):
    return graph.traced(model(name), sizes=SIZES, **export_settings.given(header(name)))


@cache
def session(name):
    return onnxruntime.InferenceSession(traced(name), providers=["CPUExecutionProvider"])


def run(name, inputs):
    return dict(zip(graph.OUTPUTS, session(name).run(graph.OUTPUTS, inputs), strict=True))


def padded(x, conditions, *, junk=0.0, length=1, more=0):
    """Inputs for utterances x (acoustic frames scaled), each in its condition.

    Frames of what is missing, and those behind an end, are junk; lengths of what is missing are `length`.
    """
    inputs = {"available": np.array([availability(c) for c in conditions])}
    for m, of in x.items():
        lengths = of.lengths.numpy()
        frames = np.full((len(lengths), lengths.max() + more, SIZES[m]), junk, np.float32)
        for row, (start, T) in enumerate(zip(of.start.tolist(), lengths, strict=True)):
            if m in conditions[row]:
                frames[row, :T] = of.frames[start : start + T].numpy()
        inputs[m] = unscaled(frames) if m == "a" else frames
        there = np.array([m in c for c in conditions])
        inputs[f"{m}_length"] = np.where(there, lengths, length)
    return inputs


def unscaled(frames):
    mean, std = (np.array(SCALING[key], np.float32) for key in ("mean", "std"))
    return frames * std + mean


def said(name, x, conditions):
    """The system's logits of each utterance in its condition."""
    system = model(name)
    with torch.no_grad():
        predicted = system.predict(system.encode(x), known(name))
    rows = [predicted[c].O[row].numpy() for row, c in enumerate(conditions)]
    return np.stack(rows)


@each_system
@pytest.mark.parametrize("n", [1, 2, 29])
def test_logits_are_the_system_s_in_batches_of_every_size_and_condition(name, n, draw_x):
    """Scaling a and back costs 1e-6; the rest is rounding of float32."""
    x = draw_x(n, seed=n)
    conditions = [known(name)[row % len(known(name))] for row in range(n)]

    found = run(name, padded(x, conditions))["logits"]

    np.testing.assert_allclose(found, said(name, x, conditions), rtol=1e-5, atol=1e-5)


@each_system
def test_a_single_frame_of_each_modality_is_enough(name, draw_x):
    """One word is shorter than the shortest convolution."""
    x = {m: of._replace(lengths=torch.ones(6, dtype=torch.int64)) for m, of in draw_x(6).items()}

    found = run(name, padded(x, CONDITIONS))["logits"]

    np.testing.assert_allclose(found, said(name, x, CONDITIONS), rtol=1e-5, atol=1e-5)


@each_system
@pytest.mark.parametrize(
    ("junk", "length", "more"), [(np.nan, 0, 0), (1e30, 99, 7)], ids=["nan", "huge and longer"]
)
def test_neither_padding_nor_a_missing_modality_is_read(name, junk, length, more, draw_x):
    x, conditions = draw_x(12), [*CONDITIONS, *CONDITIONS]
    clean = run(name, padded(x, conditions))

    found = run(name, padded(x, conditions, junk=junk, length=length, more=more))

    for output in graph.OUTPUTS:
        np.testing.assert_allclose(found[output], clean[output], rtol=1e-6, atol=1e-6)


@each_system
def test_answers_depend_on_the_condition(name, draw_x):
    """The same utterance six times: no two conditions agree."""
    x = {m: of.select(torch.zeros(6, dtype=torch.int64)) for m, of in draw_x(1).items()}

    found = run(name, padded(x, CONDITIONS))["logits"]

    assert len(np.unique(found.round(4), axis=0)) == len(CONDITIONS)


@each_system
def test_probabilities_have_the_temperature_of_their_condition(name, draw_x):
    conditions = known(name)
    found = run(name, padded(draw_x(len(conditions)), conditions))

    for row, c in enumerate(conditions):
        temperature = header(name)["calibration"][c]["temperature"]
        expected = probabilities(found["logits"][[row]], temperature)
        np.testing.assert_allclose(found["probabilities"][[row]], expected, atol=1e-6)


@pytest.mark.parametrize("name", PER_CONDITION)
def test_a_row_whose_condition_has_no_network_is_nan_and_spoils_no_other(name, draw_x):
    x = draw_x(3)

    found = run(name, padded(x, ["av", FULL, "t"]))

    for output in graph.OUTPUTS:
        np.testing.assert_array_equal(np.isnan(found[output]).all(1), [False, True, False])


def test_the_same_weights_are_the_same_bytes_and_others_are_not():
    given = export_settings.given(header("if_mmin"))

    assert graph.traced(model("if_mmin"), sizes=SIZES, **given) == traced("if_mmin")
    assert graph.traced(model("if_mmin", seed=1), sizes=SIZES, **given) != traced("if_mmin")


@each_system
def test_batch_and_lengths_have_names_and_every_operation_is_of_onnx_itself(name):
    read = onnx.load_from_string(traced(name))

    shapes = {
        of.name: [axis.dim_param or axis.dim_value for axis in of.type.tensor_type.shape.dim]
        for of in read.graph.input
    }
    assert shapes == {
        **{m: ["batch", f"{m}_frames", SIZES[m]] for m in "avt"},
        **{f"{m}_length": ["batch"] for m in "avt"},
        "available": ["batch", 3],
    }
    assert {node.domain for node in read.graph.node} == {""}
    assert not any(node.doc_string or node.metadata_props for node in read.graph.node)


def test_the_system_itself_is_left_as_it_was():
    system = model("if_mmin").train()
    graph.traced(system, sizes=SIZES, **export_settings.given(header("if_mmin")))

    assert system.training
    assert "missing" not in vars(system.encoders)

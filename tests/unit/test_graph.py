"""The ONNX graph of each system agrees with the system, for any content of the padding."""

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
    return graph.traced(model(name), sizes=SIZES, **export_settings.scaling_and_temperatures(header(name)))


@cache
def session(name):
    return onnxruntime.InferenceSession(traced(name), providers=["CPUExecutionProvider"])


def run(name, inputs):
    return dict(zip(graph.OUTPUTS, session(name).run(graph.OUTPUTS, inputs), strict=True))


def padded(x, conditions, *, junk=0.0, length=1, more=0):
    """Inputs of the graph for utterances x (with scaled acoustic frames), each in its condition.

    Padding and frames of missing modalities are `junk`; the lengths of missing modalities are `length`.
    """
    inputs = {"available": np.array([availability(c) for c in conditions])}
    for m, sequences in x.items():
        lengths = sequences.lengths.numpy()
        frames = np.full((len(lengths), lengths.max() + more, SIZES[m]), junk, np.float32)
        for row, (start, T) in enumerate(zip(sequences.start.tolist(), lengths, strict=True)):
            if m in conditions[row]:
                frames[row, :T] = sequences.frames[start : start + T].numpy()
        inputs[m] = unscaled(frames) if m == "a" else frames
        available = np.array([m in c for c in conditions])
        inputs[f"{m}_length"] = np.where(available, lengths, length)
    return inputs


def unscaled(frames):
    mean, std = (np.array(SCALING[key], np.float32) for key in ("mean", "std"))
    return frames * std + mean


def system_logits(name, x, conditions):
    """The system's logits of each utterance in its condition."""
    system = model(name)
    with torch.no_grad():
        predicted = system.predict(system.encode(x), known(name))
    rows = [predicted[c].O[row].numpy() for row, c in enumerate(conditions)]
    return np.stack(rows)


@each_system
@pytest.mark.parametrize("n", [1, 2, 29])
def test_logits_are_those_of_the_system_in_every_condition(name, n, draw_x):
    """Unscaling and scaling a costs 1e-6; the rest is float32 rounding."""
    x = draw_x(n, seed=n)
    conditions = [known(name)[row % len(known(name))] for row in range(n)]

    logits = run(name, padded(x, conditions))["logits"]

    np.testing.assert_allclose(logits, system_logits(name, x, conditions), rtol=1e-5, atol=1e-5)


@each_system
def test_a_single_frame_of_each_modality_is_enough(name, draw_x):
    """A single word is shorter than the smallest convolution kernel."""
    x = {m: seq._replace(lengths=torch.ones(6, dtype=torch.int64)) for m, seq in draw_x(6).items()}

    logits = run(name, padded(x, CONDITIONS))["logits"]

    np.testing.assert_allclose(logits, system_logits(name, x, CONDITIONS), rtol=1e-5, atol=1e-5)


@each_system
@pytest.mark.parametrize(
    ("junk", "length", "more"), [(np.nan, 0, 0), (1e30, 99, 7)], ids=["nan", "huge and longer"]
)
def test_padding_and_missing_modalities_are_not_read(name, junk, length, more, draw_x):
    x, conditions = draw_x(12), [*CONDITIONS, *CONDITIONS]
    clean = run(name, padded(x, conditions))

    outputs = run(name, padded(x, conditions, junk=junk, length=length, more=more))

    for output in graph.OUTPUTS:
        np.testing.assert_allclose(outputs[output], clean[output], rtol=1e-6, atol=1e-6)


@each_system
def test_logits_depend_on_the_condition(name, draw_x):
    """The same utterance six times: no two conditions agree."""
    x = {m: seq.select(torch.zeros(6, dtype=torch.int64)) for m, seq in draw_x(1).items()}

    logits = run(name, padded(x, CONDITIONS))["logits"]

    assert len(np.unique(logits.round(4), axis=0)) == len(CONDITIONS)


@each_system
def test_probabilities_use_the_temperature_of_their_condition(name, draw_x):
    conditions = known(name)
    outputs = run(name, padded(draw_x(len(conditions)), conditions))

    for row, c in enumerate(conditions):
        temperature = header(name)["calibration"][c]["temperature"]
        expected = probabilities(outputs["logits"][[row]], temperature)
        np.testing.assert_allclose(outputs["probabilities"][[row]], expected, atol=1e-6)


@pytest.mark.parametrize("name", PER_CONDITION)
def test_only_rows_whose_condition_has_no_network_are_nan(name, draw_x):
    x = draw_x(3)

    outputs = run(name, padded(x, ["av", FULL, "t"]))

    for output in graph.OUTPUTS:
        np.testing.assert_array_equal(np.isnan(outputs[output]).all(1), [False, True, False])


def test_the_same_weights_give_the_same_bytes_and_others_do_not():
    settings = export_settings.scaling_and_temperatures(header("if_mmin"))

    assert graph.traced(model("if_mmin"), sizes=SIZES, **settings) == traced("if_mmin")
    assert graph.traced(model("if_mmin", seed=1), sizes=SIZES, **settings) != traced("if_mmin")


@each_system
def test_axes_are_named_and_every_operator_is_standard_onnx(name):
    loaded = onnx.load_from_string(traced(name))

    shapes = {
        tensor.name: [axis.dim_param or axis.dim_value for axis in tensor.type.tensor_type.shape.dim]
        for tensor in loaded.graph.input
    }
    assert shapes == {
        **{m: ["batch", f"{m}_frames", SIZES[m]] for m in "avt"},
        **{f"{m}_length": ["batch"] for m in "avt"},
        "available": ["batch", 3],
    }
    assert {node.domain for node in loaded.graph.node} == {""}
    assert not any(node.doc_string or node.metadata_props for node in loaded.graph.node)


def test_tracing_does_not_change_the_system():
    system = model("if_mmin").train()
    graph.traced(system, sizes=SIZES, **export_settings.scaling_and_temperatures(header("if_mmin")))

    assert system.training
    assert "missing" not in vars(system.encoders)

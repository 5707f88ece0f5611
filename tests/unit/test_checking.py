"""The check that an exported graph agrees with its system."""

import numpy as np
import pandas as pd
import pytest

from conftest import SIZES
from ifmmin.core.errors import UserError
from ifmmin.deploy import checking, export_settings, graph
from models import STARTS, header, model


def corpus(n=100, longest=20):
    """Index and frames of n utterances; frames of utterance k are k / n plus noise."""
    draw, index, frames = np.random.default_rng(0), {}, {}
    for m, size in SIZES.items():
        lengths = draw.integers(10, longest, n)
        index |= {f"{m}_offset": np.cumsum(lengths) - lengths, f"{m}_length": lengths}
        noise = draw.standard_normal((lengths.sum(), size)) / 10
        frames[m] = (np.arange(n).repeat(lengths)[:, None] / n + noise).astype(np.float32)
    return pd.DataFrame(index), frames


def test_utterances_span_the_corpus_and_the_first_eight_are_cut_short():
    index, frames = corpus()

    taken = checking.utterances(index, frames, SIZES)

    for m in "avt":
        assert [len(x) for x in taken[m]][:8] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert [len(x) for x in taken[m]][8:] == index[f"{m}_length"][
            np.linspace(0, 99, 64).astype(int)[8:]
        ].tolist()
        np.testing.assert_array_equal(taken[m][-1], frames[m][index[f"{m}_offset"].iloc[-1] :])


def test_a_corpus_with_other_feature_sizes_is_refused():
    index, frames = corpus()

    with pytest.raises(UserError, match=r"sizes are .*'v': 4.*; expected .*'v': 9.*Pass the features"):
        checking.utterances(index, frames, {**SIZES, "v": 9})


@pytest.mark.parametrize("name", STARTS)
def test_only_a_graph_with_other_weights_is_refused(name):
    """The other weights differ by 0.001, in the bias of one class."""
    settings, raw = (
        export_settings.scaling_and_temperatures(header(name)),
        checking.utterances(*corpus(), SIZES),
    )
    onnx = graph.traced(model(name), sizes=SIZES, **settings)
    other = model(name)
    dict(other.named_parameters())[
        f"{'members.t.' if hasattr(other, 'members') else ''}classifier.out.bias"
    ].data[2] += 1e-3

    assert 0 < checking.largest_difference(onnx, model(name), raw, **settings) < checking.ALLOWED
    with pytest.raises(
        UserError, match=r"differs from the system by \d\.\de-0[345]; expected at most 1\.\de-05"
    ):
        checking.largest_difference(onnx, other, raw, **settings)


def test_a_graph_with_another_temperature_is_refused():
    settings, raw = (
        export_settings.scaling_and_temperatures(header("mctn")),
        checking.utterances(*corpus(), SIZES),
    )
    onnx = graph.traced(model("mctn"), sizes=SIZES, **settings)
    settings["temperatures"] = {**settings["temperatures"], "vt": 1.01 * settings["temperatures"]["vt"]}

    with pytest.raises(UserError, match="differs from the system"):
        checking.largest_difference(onnx, model("mctn"), raw, **settings)


def test_a_graph_that_returns_nan_is_refused():
    """The graph has no temperature for condition a."""
    settings, raw = (
        export_settings.scaling_and_temperatures(header("mctn")),
        checking.utterances(*corpus(), SIZES),
    )
    fewer = {c: x for c, x in settings["temperatures"].items() if c != "a"}
    onnx = graph.traced(model("mctn"), sizes=SIZES, scaling=settings["scaling"], temperatures=fewer)

    with pytest.raises(UserError, match="by nan; expected"):
        checking.largest_difference(onnx, model("mctn"), raw, **settings)

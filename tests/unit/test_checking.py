"""The check before an export: what it tries, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from conftest import SIZES
from ifmmin.core.errors import UserError
from ifmmin.deploy import checking, export_settings, graph
from models import STARTS, header, model


def corpus(n=100, longest=20):
    """Index and frames of n utterances; each frame holds its utterance's number."""
    draw, index, frames = np.random.default_rng(0), {}, {}
    for m, size in SIZES.items():
        lengths = draw.integers(10, longest, n)
        index |= {f"{m}_offset": np.cumsum(lengths) - lengths, f"{m}_length": lengths}
        noise = draw.standard_normal((lengths.sum(), size)) / 10
        frames[m] = (np.arange(n).repeat(lengths)[:, None] / n + noise).astype(np.float32)
    return pd.DataFrame(index), frames


def test_utterances_come_from_all_over_the_corpus_and_the_first_are_cut():
    index, frames = corpus()

    taken = checking.utterances(index, frames, SIZES)

    for m in "avt":
        assert [len(x) for x in taken[m]][:8] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert [len(x) for x in taken[m]][8:] == index[f"{m}_length"][
            np.linspace(0, 99, 64).astype(int)[8:]
        ].tolist()
        np.testing.assert_array_equal(taken[m][-1], frames[m][index[f"{m}_offset"].iloc[-1] :])


def test_a_corpus_of_other_sizes_is_refused():
    index, frames = corpus()

    with pytest.raises(UserError, match=r"sizes are .*'v': 4.*; expected .*'v': 9.*Name the features"):
        checking.utterances(index, frames, {**SIZES, "v": 9})


@pytest.mark.parametrize("name", STARTS)
def test_a_graph_of_other_weights_is_refused_and_its_own_is_not(name):
    """Of the other weights one number alone differs, by a thousandth: the bias of one class."""
    given, raw = export_settings.given(header(name)), checking.utterances(*corpus(), SIZES)
    onnx = graph.traced(model(name), sizes=SIZES, **given)
    other = model(name)
    dict(other.named_parameters())[
        f"{'members.t.' if hasattr(other, 'members') else ''}classifier.out.bias"
    ].data[2] += 1e-3

    assert 0 < checking.largest_difference(onnx, model(name), raw, **given) < checking.ALLOWED
    with pytest.raises(
        UserError, match=r"differs from the system by \d\.\de-0[345]; expected at most 1\.\de-05"
    ):
        checking.largest_difference(onnx, other, raw, **given)


def test_a_graph_of_another_temperature_is_refused():
    given, raw = export_settings.given(header("mctn")), checking.utterances(*corpus(), SIZES)
    onnx = graph.traced(model("mctn"), sizes=SIZES, **given)
    given["temperatures"] = {**given["temperatures"], "vt": 1.01 * given["temperatures"]["vt"]}

    with pytest.raises(UserError, match="differs from the system"):
        checking.largest_difference(onnx, model("mctn"), raw, **given)


def test_a_graph_that_says_nan_is_refused():
    """It was made without the temperature of a condition that it is asked for."""
    given, raw = export_settings.given(header("mctn")), checking.utterances(*corpus(), SIZES)
    fewer = {c: x for c, x in given["temperatures"].items() if c != "a"}
    onnx = graph.traced(model("mctn"), sizes=SIZES, scaling=given["scaling"], temperatures=fewer)

    with pytest.raises(UserError, match="by nan; expected"):
        checking.largest_difference(onnx, model("mctn"), raw, **given)

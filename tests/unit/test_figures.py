"""Figures 3a and 3b and the robustness figure, drawn from tables."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from ifmmin.core.errors import UserError
from ifmmin.report import figures, palette

LOOK = palette.Look("x", "#d55e00", "circle", reference=False, proposed=True)
ROOT = Path(__file__).resolve().parents[2]
SIX = ["a", "v", "t", "av", "at", "vt"]


def keys(n):
    """N utterances in each of seven conditions."""
    names = [f"u{i}" for i in range(n)] * 7
    return pd.DataFrame({"utterance_id": names, "condition": np.repeat([*SIX, "avt"], n)})


def test_trainings_have_a_row_per_epoch_of_each_run():
    """`step` is DVCLive's name of the epoch."""
    history = pd.DataFrame(
        {
            "epoch": [1, 2],
            "lr": 0.1,
            "L": [3.0, 2.0],
            "validation_L_cls": [1.0, 0.5],
            "validation_ua": [0.4, 0.5],
        }
    )

    table = figures.trainings({("mmin", 1, 0): history, ("mctn", 2, 3): history.assign(L=[7.0, 6.0])})

    assert table.to_dict("list") == {
        "training": ["mmin", "mmin", "mctn", "mctn"],
        "run": ["fold 1, seed 0"] * 2 + ["fold 2, seed 3"] * 2,
        "step": [1, 2, 1, 2],
        "L": [3.0, 2.0, 7.0, 6.0],
        "validation_L_cls": [1.0, 0.5] * 2,
        "validation_ua": [0.4, 0.5] * 2,
    }


def test_a_sample_has_n_distinct_rows_of_each_of_the_six_conditions():
    table = keys(30)

    rows = figures.sample(table, 10, np.random.default_rng(0))

    drawn = table["condition"].iloc[rows]
    assert list(dict.fromkeys(drawn)) == SIX
    assert drawn.value_counts().to_dict() == dict.fromkeys(SIX, 10)
    assert len(set(rows.tolist())) == 60


def test_a_sample_of_a_small_table_has_all_rows():
    rows = figures.sample(keys(3), 10, np.random.default_rng(0))

    assert rows.tolist() == list(range(18))


def test_each_condition_is_sampled_separately():
    rows = figures.sample(keys(30), 10, np.random.default_rng(0)).reshape(6, 10) % 30

    assert len({tuple(row) for row in rows.tolist()}) == 6


def test_every_row_is_equally_likely_to_be_drawn():
    """5 of 20 in 600 draws: each 150 times, within five std, sqrt(600 x 0.25 x 0.75)."""
    draw = np.random.default_rng(0)
    table = keys(20)

    counts = np.zeros(140, int)
    for _ in range(600):
        counts[figures.sample(table, 5, draw)] += 1

    assert np.abs(counts[:120] - 150).max() < 5 * np.sqrt(600 * 0.25 * 0.75)
    assert not counts[120:].any()


def history(*values):
    """A history with these values of L_inv, whose first epoch was chosen."""
    epochs = range(1, len(values) + 1)
    return pd.DataFrame({"epoch": epochs, "chosen": [int(e == 1) for e in epochs], "L_inv": values})


RUNS = {("x", 1, 0): history(4.0, 2.0), ("x", 2, 0): history(6.0, 5.0), ("b", 1, 0): history(1.0)}


def test_curves_are_means_over_folds_and_seeds_in_the_order_of_systems():
    """x: (4 + 6) / 2 and (2 + 5) / 2; b: 1. Each run chose its first epoch."""
    curves = figures.curves(RUNS)

    assert curves.to_dict("list") == {
        "system": ["x", "x", "b"],
        "epoch": [1, 2, 1],
        "L_inv": [5.0, 3.5, 1.0],
        "chosen": [1.0, 0.0, 1.0],
    }


def test_losses_that_a_system_lacks_are_empty_in_its_curves():
    runs = {("x", 1, 0): history(4.0), ("m", 1, 0): history(3.0).rename(columns={"L_inv": "L_cycle"})}

    curves = figures.curves(runs)

    assert curves["L_inv"].fillna(-1).tolist() == [4, -1]
    assert curves["L_cycle"].fillna(-1).tolist() == [-1, 3]


def test_figure_3b_draws_the_mean_and_a_band_of_one_std():
    """Epoch 1: 4 and 6, mean 5, std sqrt 2; epoch 2: 2 and 5, mean 3.5, std sqrt 4.5."""
    axes = figures.figure_3b(figures.lines_3b(RUNS, "x"), LOOK).axes[0]

    line = axes.lines[0]
    np.testing.assert_allclose(line.get_xdata(), [1, 2])
    np.testing.assert_allclose(line.get_ydata(), [5, 3.5])
    band = axes.collections[0].get_paths()[0].vertices
    for epoch, mean, std in ((1, 5, np.sqrt(2)), (2, 3.5, np.sqrt(4.5))):
        edges = band[band[:, 0] == epoch, 1]
        np.testing.assert_allclose([edges.min(), edges.max()], [mean - std, mean + std])


def test_the_lines_of_figure_3b_are_the_runs_of_one_system():
    lines = figures.lines_3b(RUNS, "x")

    assert lines.to_dict("split")["data"] == [[1, 0, 1, 4.0], [1, 0, 2, 2.0], [2, 0, 1, 6.0], [2, 0, 2, 5.0]]


def test_figure_3b_has_lines_for_the_constant_predictor_and_the_floor():
    runs = {("x", 1, 0): history(4.0, 2.0).assign(validation_L_inv_constant=3.0, validation_L_inv_floor=1.0)}

    axes = figures.figure_3b(figures.lines_3b(runs, "x"), LOOK).axes[0]

    levels = {line.get_label(): set(line.get_ydata()) for line in axes.lines[-2:]}
    assert levels == dict(zip(figures.REFERENCES.values(), ({3.0}, {1.0}), strict=True))
    assert axes.get_ylabel() == "L_inv: distance of H' from H"


def test_figure_3b_of_a_single_run_is_its_curve():
    axes = figures.figure_3b(figures.lines_3b(RUNS, "b"), LOOK).axes[0]

    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1])


def test_figure_3b_needs_a_system_of_the_table_with_l_inv():
    runs = {("mmin", 1, 0): history(3.0).rename(columns={"L_inv": "L_cycle"})}

    with pytest.raises(
        UserError, match="if_mmin is not in Table 1; expected one of the systems listed under rows"
    ):
        figures.lines_3b(runs, "if_mmin")
    with pytest.raises(UserError, match="mmin has no L_inv; expected a system trained with it"):
        figures.lines_3b(runs, "mmin")


def figure_3a(H_prime, n, utterances=100):
    """Draw n rows in each of the six conditions; the n rows of the full input follow them."""
    H_prime = np.concatenate([H_prime, H_prime[:n]]).astype(np.float32)
    points = figures.points_3a(keys(n), H_prime, system="x", utterances=utterances, seed=0, perplexity=30)
    index = pd.DataFrame({"utterance_id": [f"u{i}" for i in range(n)], "label": np.arange(n) % 2})
    both = figures.with_classes({"trained": points, "random weights": points}, index, ["angry", "sad"])
    return figures.figure_3a(both, "x, fold 1, seed 0").axes[0]


def test_figure_3a_shows_the_requested_number_of_points_per_condition():
    axes = figure_3a(np.random.default_rng(0).standard_normal((60, 9)), 10, utterances=7)

    assert [len(points.get_offsets()) for points in axes.collections] == [7] * 6
    assert "7 test utterances" in axes.get_figure().get_suptitle()


def test_figure_3a_has_a_panel_by_class_and_a_control_for_each():
    axes = figure_3a(np.random.default_rng(0).standard_normal((60, 9)), 10).get_figure().axes

    assert [panel.get_title() for panel in axes] == [
        *("trained, by condition", "trained, by class"),
        *("random weights, by condition", "random weights, by class"),
    ]
    by_class = {points.get_label(): len(points.get_offsets()) for points in axes[3].collections}
    assert by_class == {"angry": 30, "sad": 30}
    assert all(panel.get_aspect() == 1 for panel in axes)


def test_points_of_figure_3a_have_the_class_of_their_utterance():
    points = pd.DataFrame({"utterance_id": ["u1", "u0"], "condition": "a", "x": 0.0, "y": 0.0})
    index = pd.DataFrame({"utterance_id": ["u0", "u1"], "label": [1, 0]})

    joined = figures.with_classes({"trained": points}, index, ["angry", "sad"])

    assert joined[["network", "class"]].to_numpy().tolist() == [["trained", "angry"], ["trained", "sad"]]


def test_the_points_of_figure_3a_name_their_utterances():
    H_prime = np.random.default_rng(0).standard_normal((70, 9)).astype(np.float32)

    points = figures.points_3a(keys(10), H_prime, system="x", utterances=4, seed=0, perplexity=5)

    assert list(points.columns) == ["utterance_id", "condition", "x", "y"]
    assert points["condition"].tolist() == [c for c in SIX for _ in range(4)]
    drawn = figures.sample(keys(10), 4, np.random.default_rng(0))
    assert points["utterance_id"].tolist() == keys(10)["utterance_id"].iloc[drawn].tolist()


def test_figure_3a_of_a_system_without_invariant_features_is_refused():
    with pytest.raises(ValueError, match="x has no invariant features"):
        figures.points_3a(keys(0), np.empty((0, 0)), system="x", utterances=7, seed=0, perplexity=30)


def test_figure_3a_shows_all_points_with_one_colour_per_condition():
    axes = figure_3a(np.random.default_rng(0).standard_normal((42, 9)), 7)

    assert [len(points.get_offsets()) for points in axes.collections] == [7] * 6
    assert len({to_rgb(points.get_facecolor()[0][:3]) for points in axes.collections}) == 6
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "{a}",
        "{v}",
        "{t}",
        "{a,v}",
        "{a,t}",
        "{v,t}",
    ]


def test_figure_3a_keeps_clusters_apart():
    """Six distant clusters: the nearest neighbour of each point has the same condition."""
    centres = 100 * np.eye(6, 9)
    H_prime = np.repeat(centres, 10, 0) + np.random.default_rng(0).standard_normal((60, 9))

    axes = figure_3a(H_prime, 10)

    points = np.concatenate([part.get_offsets().data for part in axes.collections])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(60)
    assert (distances.argmin(1) // 10 == np.arange(60) // 10).all()


@pytest.mark.parametrize("value", [0.0, 0.25, 0.3])
def test_figure_3a_of_collapsed_features_is_drawn(value):
    """A preset may only warn of a collapse; then H' may be the same for all utterances."""
    axes = figure_3a(np.full((42, 9), value), 7)

    assert all(np.isfinite(points.get_offsets().data).all() for points in axes.collections)


def test_robustness_draws_mixed_modalities_and_frames_of_the_full_input():
    rows = [
        (system, missing, condition, rate, rate + n, -rate)
        for n, system in enumerate(("x", "y"))
        for missing, condition in (("modalities", "mixed"), ("frames", "avt"), ("frames", "a"))
        for rate in (0.0, 0.7)
    ]
    table = pd.DataFrame(rows, columns=["system", "missing", "condition", "missing_rate", "wa", "ua"])

    looks = palette.looks(
        ["x", "y"], {"x": "Ex"}, {"proposed": "y", "baselines": [], "ablations": ["x"], "on_par": 0.01}
    )
    axes = figures.robustness(table, looks).axes

    drawn = [[(line.get_label(), line.get_ydata().tolist()) for line in panel.lines] for panel in axes]
    wa, ua = [("Ex", [0.0, 70.0]), ("y", [100.0, 170.0])], [("Ex", [0.0, -70.0]), ("y", [0.0, -70.0])]
    assert drawn == [wa, wa, ua, ua]
    assert [line.get_color() for line in axes[0].lines] == [palette.COMPARED[0], palette.PROPOSED]


PLANE = """
import sys
import numpy as np
from ifmmin.report import figures
draw = np.random.default_rng(0)
H_prime = np.tanh(draw.standard_normal((120, 5)) @ draw.standard_normal((5, 48)) / 4).astype(np.float32)
sys.stdout.buffer.write(figures._plane(H_prime, 0, 10.0).tobytes())
"""


def test_figure_3a_does_not_depend_on_the_processor():
    """OpenBLAS uses the kernels of other processors, whose matrix products differ in the last digits."""
    planes = {
        subprocess.run(
            [sys.executable, "-c", PLANE],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_CORETYPE": core},
            capture_output=True,
            check=True,
        ).stdout
        for core in ("Nehalem", "Haswell", "SkylakeX")
    }

    assert len(planes) == 1


def test_the_robustness_figure_says_that_nothing_was_retrained():
    table = pd.DataFrame(
        [("mmin", m, "avt", 0.0, 0.5, 0.5) for m in ("modalities", "frames")],
        columns=["system", "missing", "condition", "missing_rate", "wa", "ua"],
    )

    looks = palette.looks(
        ["mmin"], {}, {"proposed": "mmin", "baselines": [], "ablations": [], "on_par": 0.01}
    )
    title = figures.robustness(table, looks).get_suptitle()

    assert title == "Robustness to missing modalities and frames (no retraining)"

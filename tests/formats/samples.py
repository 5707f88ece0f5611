"""Writes one sample of every artifact: `python samples.py folder`."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from ifmmin.core import configs, files
from ifmmin.corpus import features, folds, scalings
from ifmmin.evaluation import invariants, missing_frames, predictions
from ifmmin.report import figures, images, printed
from ifmmin.results import curves, mechanism, table1, tables
from ifmmin.training import histories, weights

CLASSES = ["angry", "sad"]
CORPUS = {"name": "λ corpus", "classes": CLASSES, "synthetic": True, "iemocap": False}
INDEX = pd.DataFrame(
    {
        "utterance_id": ["x_1", "x_2", "y_1"],
        "speaker": ["x", "x", "y"],
        "label": [1, 0, 1],
        **{f"{m}_{what}": n for m in "avt" for what, n in (("offset", [0, 2, 3]), ("length", [2, 1, 2]))},
    }
)
PACK_FOLDS = pd.DataFrame(
    {"fold": [1, 1, 2], "utterance_id": ["x_1", "y_1", "x_1"], "role": ["train", "test", "test"]}
)
FOLD = pd.DataFrame({"utterance_id": ["x_1", "x_2", "y_1"], "role": ["train", "validation", "test"]})
SCALING = (np.array([0.1, -1e30, 3.0]), np.array([1 / 3, 1e-20, 1.0]))
CONFIG = {"build": {"hidden": 3, "lambda2": 0.1}, "fit": {"lr": 1e-3, "on_collapse": "stop"}}
TENSORS = {"b.weight": torch.arange(6.0).reshape(2, 3) / 7, "a.bias": torch.tensor([1.5])}
HEADER = {"fit": {"threads": 1}, "build": {"z": 1, "a": [1, 2]}, "collapsed": [], "name": "λ"}
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2],
        "chosen": [0, 1],
        "lr": [0.1, 0.1 / 3],
        "L": [2 / 3, 1e-17],
        "validation_L_cls": [1.0, 0.7],
        "validation_wa": [0.25, 1 / 3],
        "validation_ua": [0.25, 0.1 + 0.2],
        "active_h_a": [1.0, 0.5],
    }
)
PREDICTIONS = pd.DataFrame(
    {
        "utterance_id": ["x_1", "y_1", "x_1"],
        "condition": ["a", "a", "avt"],
        "label": [1, 0, 1],
        "predicted": [0, 0, 1],
        "logit_angry": np.array([0.1, 2.5, -1e-9], np.float32),
        "logit_sad": np.array([-0.1, 2.25, 1e30], np.float32),
    }
)
MECHANISM = pd.DataFrame(
    {
        "network": ["pretraining", "λ"],
        "fold": [1, 2],
        "seed": 0,
        "measure": ["probe", "L_cmd_plain"],
        "condition": "avt",
        "value": [1 / 3, 1e-17],
        "reference": [1 / 3, np.nan],
    }
)
RUN = {"trained": {"device": "cpu", "precision": "float32"}, "collapsed": []}
TESTS = pd.DataFrame({"other": ["mmin", "mctn"], "p": [1 / 3, np.nan], "note": ["", "λ, one fold"]})
KEYS = PREDICTIONS[["utterance_id", "condition"]]
H_PRIME = np.arange(12, dtype=np.float32).reshape(3, 4) / 7


def scores():
    """Two runs of system x and one of system b, in every condition."""
    rows = [
        (system, fold, 0, c, wa, wa / 3)
        for system, fold, wa in (("x", 1, 0.5), ("x", 2, 0.75), ("b", 1, 1 / 3))
        for c in ("a", "v", "t", "av", "at", "vt", "avt", "average")
    ]
    return pd.DataFrame(rows, columns=["system", "fold", "seed", "condition", "wa", "ua"])


def table():
    """Table 1 of these runs; b does not predict the full input and has marks in condition a."""
    scored = scores()
    scored = scored[(scored["system"] == "x") | (scored["condition"] != "avt")]
    marks = pd.DataFrame([{"system": "b", "condition": "a", "wa_marks": "↑⇑", "ua_marks": "*+"}])
    marked = table1.table(scored, ["x", "b"]).merge(marks, "left").fillna({"wa_marks": "", "ua_marks": ""})
    return marked.assign(wa_low=0.1, wa_high=np.nan, ua_low=1 / 3, ua_high=np.nan, note="")


def runs():
    """(system, fold, seed) to predictions: the sad utterance is right, and one of two angry ones."""
    pairs = pd.DataFrame({"condition": "a", "label": [1, 0, 0], "predicted": [1, 1, 0]})
    return {("x", 1, 0): pairs, ("b", 1, 0): pairs.assign(condition="avt")}


def write_all(folder):
    write_tables(folder)
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([1, 2], [3, 1], label="λ")
    images.write(folder / "figure.png", figure)


def write_tables(folder):
    """Write all samples but the figure, which takes most of the time."""
    for m, size in (("a", 3), ("v", 2), ("t", 1)):
        frames = np.arange(5 * size, dtype=np.float32).reshape(5, size) / 3
        features.write_frames(folder / "features", m, [frames[:2], frames[2:3], frames[3:]])
    features.write_tables(folder / "features", INDEX, PACK_FOLDS, CORPUS)
    folds.write(folder / "fold.parquet", FOLD)
    scalings.write(folder / "scaling.json", *SCALING)
    configs.write(folder / "config.json", CONFIG)
    weights.write(folder / "weights.safetensors", TENSORS, HEADER)
    histories.write(folder / "history.csv", HISTORY)
    missing_frames.write(
        folder / "missing_frames.parquet", {0.1: PREDICTIONS, 0.7: PREDICTIONS}, CLASSES, RUN
    )
    predictions.write(folder / "predictions.parquet", PREDICTIONS, CLASSES, RUN)
    invariants.write(folder / "invariants.parquet", KEYS, H_PRIME)
    tables.write_scores(folder / "scores.csv", scores())
    tables.write_nested(folder / "table1.json", table1.nested(table()))
    tables.write_summary(folder / "summary.json", folder / "summary", table1.nested(table()))
    tables.write_table(folder / "table1.csv", table())
    files.write_text(folder / "table1.md", printed.markdown(table(), {}, ["b"], ["A note."], plain=True))
    files.write_text(folder / "table1.tex", printed.latex(table(), {}, ["b"], ["A note."], plain=True))
    tables.write_confusions(folder / "confusion.csv", table1.confusions(runs(), CLASSES))
    tables.write_recalls(folder / "recalls.csv", table1.recalls(runs(), CLASSES))
    tables.write_significance(folder / "significance.csv", TESTS)
    tables.write_comparison(folder / "comparison.csv", TESTS)
    tables.write_runs(folder / "runs.json", {("x", 1, 0): RUN, ("b", 2, 3): RUN})
    files.write_text(folder / "report.html", "<p>λ</p>")
    mechanism.write(folder / "mechanism.csv", MECHANISM)
    curves.write(folder / "curves.csv", HISTORY.drop(columns="chosen"))
    curves.write(folder / "trainings.csv", figures.trainings({("x", 1, 0): HISTORY, ("b", 2, 3): HISTORY}))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))

"""Figures 3a and 3b of the paper, from tables. The figures are not saved here: they know no files."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from ifmmin.terms import CONDITIONS

COLOURS = dict(zip(CONDITIONS, mpl.color_sequences["tab10"], strict=False))


def curves(histories: pd.DataFrame) -> pd.DataFrame:
    """Average training histories over folds and seeds.

    Args:
        histories: system, fold, seed, epoch and the columns of a history.

    Returns:
        One line for each system (in their order of appearance) and epoch.
    """
    values = histories.drop(columns=["fold", "seed", "chosen"])
    return values.groupby(["system", "epoch"], sort=False).mean().reset_index()


def sample(keys: pd.DataFrame, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw n test utterances for each of the six conditions, each condition on its own.

    Args:
        keys: condition of each row of H'.
        n: utterances of each condition; all of them where there are fewer.
        generator: draws them; none is picked by hand.

    Returns:
        Row numbers, in the order of the conditions.
    """
    rows = {c: np.flatnonzero(keys["condition"] == c) for c in CONDITIONS}
    return np.concatenate(
        [np.sort(generator.choice(of, min(n, len(of)), replace=False)) for of in rows.values()]
    )


def figure_3a(
    keys: pd.DataFrame, H_prime: NDArray[np.float32], *, seed: int, perplexity: float, title: str
) -> Figure:
    """Draw t-SNE of H' under the six conditions, one colour each, all in one embedding and on one scale.

    Args:
        keys: condition of each row.
        H_prime: (rows, 3 x hidden).
        seed: of t-SNE.
        perplexity: of t-SNE; lowered where there are too few rows.
        title: what the points are.

    Source:
        Paper, section 3.5, figure 3(a). The released script scales each condition by itself and drops points
        by hand.
    """
    plane = TSNE(
        init="pca", perplexity=min(perplexity, (len(keys) - 1) / 3), random_state=seed
    ).fit_transform(H_prime)
    figure = Figure(figsize=(6.4, 5.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    for condition, colour in COLOURS.items():
        points = plane[(keys["condition"] == condition).to_numpy()]
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=12,
            alpha=0.75,
            linewidths=0,
            color=colour,
            label=f"{{{','.join(condition)}}}",
        )
    axes.set(title=title, xlabel="t-SNE 1", ylabel="t-SNE 2", aspect="equal")
    axes.legend(title="available", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def figure_3b(histories: pd.DataFrame, *, title: str) -> Figure:
    """Draw L_inv over the epochs: mean over folds and seeds, band of one standard deviation.

    Args:
        histories: epoch and L_inv of every run of one system.
        title: what the runs are.

    Source:
        Paper, section 3.5, figure 3(b).
    """
    by_epoch = histories.groupby("epoch")["L_inv"]
    mean, spread = by_epoch.mean(), by_epoch.std(ddof=1).fillna(0)
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.fill_between(
        mean.index, mean - spread, mean + spread, alpha=0.25, linewidth=0, label="± one standard deviation"
    )
    axes.plot(mean.index, mean, marker="o", markersize=3, label="mean")
    axes.set(title=title, xlabel="epoch", ylabel="L_inv (mean over training utterances)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure

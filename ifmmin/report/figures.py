"""Figures 3a and 3b of the paper, training curves and robustness, from tables. No I/O."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from ifmmin.core.errors import UserError
from ifmmin.core.terms import CONDITIONS, FULL, METRICS, braces
from ifmmin.report import palette
from ifmmin.report.palette import Look

INPUT_DECIMALS, START_DECIMALS, POINT_DECIMALS = 4, 9, 2
"""Rounding of H', of the initial positions of t-SNE and of its points: equal figures on all processors."""

COLOURS = dict(zip(CONDITIONS, palette.CONDITIONS, strict=True))
TRAINED, UNTRAINED = "trained", "random weights"
"""The two networks of figure 3a."""
REFERENCES = {
    "validation_L_inv_constant": "best constant H', validation",
    "validation_L_inv_floor": "floor with placeholder H', validation",
}
"""Columns of a history to which L_inv is compared, with their labels."""
VALIDATION = "validation_L_inv_all"
"""L_inv of the validation utterances, without dropout."""


def curves(histories: Mapping[tuple[str, int, int], pd.DataFrame]) -> pd.DataFrame:
    """Average training histories over folds and seeds.

    Args:
        histories: (system, fold, seed) to history.

    Returns:
        system, epoch, chosen (share of the runs, or of their networks, that keep the weights of this epoch)
        and the mean of each other column; systems in order of appearance.
    """
    past = pd.concat([table.assign(system=system) for (system, _, _), table in histories.items()])
    is_chosen = past.columns.str.startswith("chosen")
    values = past.loc[:, ~is_chosen].assign(chosen=past.loc[:, is_chosen].mean(axis=1))
    return values.groupby(["system", "epoch"], sort=False).mean().reset_index()


def trainings(histories: Mapping[tuple[str, int, int], pd.DataFrame]) -> pd.DataFrame:
    """Collect the losses and the validation UA of every training.

    Args:
        histories: (system or kind of pretraining, fold, seed) to history.

    Returns:
        training, run (such as "fold 1, seed 0"), step (the epoch), L, validation_L_cls, validation_ua; one
        row per epoch, in order of appearance.
    """
    parts = [
        table.rename(columns={"epoch": "step"}).assign(training=name, run=f"fold {fold}, seed {seed}")
        for (name, fold, seed), table in histories.items()
    ]
    columns = ["training", "run", "step", "L", "validation_L_cls", "validation_ua"]
    return pd.concat(parts, ignore_index=True)[columns]


def sample(keys: pd.DataFrame, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Sample n test utterances for each of the six conditions independently.

    Args:
        keys: condition of each row of H'.
        n: utterances of each condition; all of them if there are fewer.
        generator: random generator.

    Returns:
        Row numbers, in the order of the conditions.
    """
    rows = [np.flatnonzero(keys["condition"] == c) for c in CONDITIONS]
    return np.concatenate([np.sort(generator.choice(r, min(n, len(r)), replace=False)) for r in rows])


def points_3a(
    keys: pd.DataFrame,
    H_prime: NDArray[np.float32],
    *,
    system: str,
    utterances: int,
    seed: int,
    perplexity: float,
) -> pd.DataFrame:
    """Embed H' of all six conditions jointly by t-SNE.

    Args:
        keys: utterance_id and condition of each row.
        H_prime: (rows, 3 x hidden).
        system: the system's name, for the error message.
        utterances: number of utterances of each condition.
        seed: seed of the sample and of t-SNE.
        perplexity: perplexity of t-SNE; lowered if there are too few rows.

    Returns:
        utterance_id, condition, x, y (float32), in the order of the conditions.

    Raises:
        UserError: if there are no rows, because the system has no H'.

    Source:
        Paper, section 3.5, figure 3(a). The released script scales each condition separately and removes
        points manually.
    """
    if not len(keys):
        raise UserError(
            f"{system} has no invariant features H'; expected a system that has them. Check figures.system."
        )
    rows = sample(keys, utterances, np.random.default_rng(seed))
    plane = _plane(H_prime[rows], seed, perplexity)
    shown = keys.iloc[rows][["utterance_id", "condition"]].reset_index(drop=True)
    return shown.assign(x=plane[:, 0], y=plane[:, 1])


def with_classes(
    by_network: Mapping[str, pd.DataFrame], index: pd.DataFrame, classes: Sequence[str]
) -> pd.DataFrame:
    """Join the points of several networks and add the class of each utterance.

    Args:
        by_network: network to the result of points_3a.
        index: utterance_id and label.
        classes: class names in label order.

    Returns:
        network, utterance_id, condition, class, x, y.
    """
    points = pd.concat([table.assign(network=name) for name, table in by_network.items()], ignore_index=True)
    labels = index.set_index("utterance_id")["label"].loc[points["utterance_id"]]
    points["class"] = np.array(classes, dtype=object)[labels]
    return points[["network", "utterance_id", "condition", "class", "x", "y"]]


def figure_3a(points: pd.DataFrame, run: str) -> Figure:
    """Draw figure 3a by condition and by class, with a control: the same network with random weights.

    The control shows which clusters are there without any training.

    Args:
        points: network, condition, class, x, y.
        run: the run (system, fold, seed), for the title.
    """
    networks = list(dict.fromkeys(points["network"]))
    by_class = dict(zip(sorted(set(points["class"])), cycle(palette.COMPARED), strict=False))
    figure = Figure(figsize=(9.6, 4.4 * len(networks)), dpi=150, layout="constrained")
    grid = figure.subplots(len(networks), 2, squeeze=False)
    for row, network in zip(grid, networks, strict=True):
        shown = points[points["network"] == network]
        for axes, column, colours in zip(row, ("condition", "class"), (COLOURS, by_class), strict=True):
            for value, colour in colours.items():
                group = shown[shown[column] == value]
                label = braces(value) if column == "condition" else value
                axes.scatter(
                    group["x"], group["y"], s=16, alpha=0.75, linewidths=0, color=colour, label=label
                )
            axes.set(title=f"{network}, by {column}", xlabel="t-SNE 1", ylabel="t-SNE 2")
            axes.set_aspect("equal", adjustable="datalim")
            if network == networks[0]:
                axes.legend(title=column, frameon=False, fontsize="small", markerscale=2)
    n = len(points) // len(CONDITIONS) // len(networks)
    figure.suptitle(f"H' of {run}: {n} test utterances per condition")
    return figure


def _plane(H_prime: NDArray[np.float32], seed: int, perplexity: float) -> NDArray[np.float32]:
    """Embed by t-SNE: (rows, 2). Identical features, as after a collapse, become one point.

    t-SNE amplifies the last digits of its input, which differ between processors, so the input is rounded.
    The exact method would not help, because each of its steps multiplies matrices; Barnes-Hut does not.
    """
    x = np.asarray(H_prime, np.float64).round(INPUT_DECIMALS)
    if (x == x[0]).all():
        return np.zeros((len(x), 2), np.float32)
    with threadpool_limits(1):  # on a busy machine threads wait for each other: 30 s instead of 2 s
        start, perplexity = _principal_plane(x), min(perplexity, (len(x) - 1) / 3)
        points = TSNE(init=start, perplexity=perplexity, random_state=seed).fit_transform(x)
    plane: NDArray[np.float32] = np.round(points, POINT_DECIMALS).astype(np.float32)
    return plane


def _principal_plane(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project on the first two principal axes, with fixed signs and scikit-learn's scale for t-SNE."""
    centred = x - x.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    plane = centred @ (axes * np.sign(largest)).T
    start: NDArray[np.float64] = np.round(plane / plane[:, 0].std() * 1e-4, START_DECIMALS)
    return start


def lines_3b(histories: Mapping[tuple[str, int, int], pd.DataFrame], system: str) -> pd.DataFrame:
    """Collect L_inv over the epochs, and what it is compared with, from the histories of one system.

    Args:
        histories: (system, fold, seed) to history.
        system: the system to draw.

    Returns:
        fold, seed, epoch, L_inv, and those of VALIDATION and REFERENCES that the history has.

    Raises:
        UserError: if the system has no history, or no L_inv.
    """
    runs = [
        table.assign(fold=fold, seed=seed)
        for (name, fold, seed), table in histories.items()
        if name == system
    ]
    if not runs:
        raise UserError(
            f"{system} is not in Table 1; expected one of the systems listed under rows. "
            "Check figures.system."
        )
    if "L_inv" not in runs[0]:
        raise UserError(f"{system} has no L_inv; expected a system trained with it. Check figures.system.")
    references = [column for column in (VALIDATION, *REFERENCES) if column in runs[0]]
    return pd.concat(runs, ignore_index=True)[["fold", "seed", "epoch", "L_inv", *references]]


def figure_3b(lines: pd.DataFrame, look: Look) -> Figure:
    """Draw figure 3b, L_inv over the epochs: mean over folds and seeds, band of one standard deviation.

    Args:
        lines: result of lines_3b.
        look: how the system looks.

    Source:
        Paper, section 3.5, figure 3(b).
    """
    by_epoch = lines.groupby("epoch")["L_inv"]
    mean, std = by_epoch.mean(), by_epoch.std(ddof=1).fillna(0)
    figure = Figure(figsize=(6.4, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.fill_between(
        mean.index,
        mean - std,
        mean + std,
        alpha=0.25,
        linewidth=0,
        color=look.colour,
        label="± one standard deviation",
    )
    axes.plot(mean.index, mean, marker="o", markersize=3, color=look.colour, label="training, as minimised")
    if VALIDATION in lines:
        validation = lines.groupby("epoch")[VALIDATION].mean()
        axes.plot(
            validation.index,
            validation,
            marker="s",
            markersize=3,
            color="0.15",
            label="validation, without dropout",
        )
    for (column, label), style in zip(REFERENCES.items(), ("--", ":"), strict=True):
        if column in lines:
            axes.axhline(lines[column].mean(), linestyle=style, color="0.35", linewidth=1, label=label)
    n_runs = len(lines[["fold", "seed"]].drop_duplicates())
    title = f"L_inv of {look.name}, {n_runs} runs (folds and seeds)"
    axes.set(title=title, xlabel="epoch", ylabel="L_inv: distance of H' from H")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


def missing_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Select what figures show of the curves: missing modalities, and missing frames of the full input.

    At least one modality remains, so no missing rate of modalities is above 2/3.
    """
    is_modalities = table["missing"] == "modalities"
    drawn = table[is_modalities | (table["condition"] == FULL)]
    rate = drawn["missing_rate"]
    return drawn.assign(missing_rate=rate.clip(upper=2 / 3).where(is_modalities, rate))


def robustness(table: pd.DataFrame, looks: Mapping[str, Look]) -> Figure:
    """Draw WA and UA as a function of the rate of missing modalities and of missing frames (full input).

    Args:
        table: system, missing, condition, missing_rate, wa, ua.
        looks: system to look, in the order of the legend.
    """
    panels = {
        "modalities": "missing modalities (at least one remains)",
        "frames": "missing frames of all modalities",
    }
    shown = missing_rates(table)
    figure = Figure(figsize=(9.6, 6.4), dpi=150, layout="constrained")
    grid = figure.subplots(len(METRICS), len(panels), sharex=True, sharey=True)
    for row, metric in zip(grid, METRICS, strict=True):
        for axes, (missing, label) in zip(row, panels.items(), strict=True):
            by_system = dict(iter(shown[shown["missing"] == missing].groupby("system")))
            for system, look in looks.items():
                x, y = by_system[system]["missing_rate"], 100 * by_system[system][metric]
                style = {"color": look.colour, "linewidth": 2.6 if look.proposed else 1.3}
                axes.plot(x, y, marker="D" if look.reference else "o", markersize=3, label=look.name, **style)
            axes.grid(alpha=0.3)
            axes.set_xlabel(f"rate of {label}" if metric == METRICS[-1] else "")
            axes.set_ylabel(f"{metric.upper()}, per cent" if missing == "modalities" else "")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.suptitle("Robustness to missing modalities and frames (no retraining)")
    return figure

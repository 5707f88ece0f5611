"""Measures of whether H is invariant and whether H' predicts it. No gradient; float64.

Reference values: the probe is at chance, 1/3, if H is invariant; the rank is 0.5 by chance; R2 is 0 if H' is
the mean of H.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ifmmin.core.terms import CONDITIONS, MODALITIES
from ifmmin.nn.losses import cmd_loss

MIN_UTTERANCES = 4
"""Fewest utterances for which `invariance` is measured."""

MEASURED_CMD_FORMS = ("plain", "scale_free")
"""The forms in which L_cmd is measured, whichever is trained."""

SMALLEST_VARIANCE = 1e-6
"""If the mean variance of H is at or below this (std 0.001, as for active units), H counts as constant."""

RIDGE = 0.1
"""Added to the covariance of the probe (units have variance 1), as there may be fewer samples than units."""


def probe(fitted: Mapping[str, Tensor], scored: Mapping[str, Tensor]) -> float:
    """Accuracy of a linear classifier that tells the modality from H^m; 1/3 if H is invariant.

    Linear discriminant analysis: normal features with one mean for each modality and a common covariance.

    Args:
        fitted: modality to (n, hidden): features that the classifier is fitted to.
        scored: modality to (N, hidden): features of other utterances.

    Source:
        Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2009, section 4.3, with the
        covariance of standardised units shrunk towards the identity.
    """
    x, _ = _stacked(fitted)
    mean, std = x.mean(0), x.std(0, correction=0).clamp_min(torch.finfo(torch.float32).eps)
    groups = [(fitted[m].double() - mean) / std for m in MODALITIES]
    means = torch.stack([group.mean(0) for group in groups])  # (3, hidden)
    within = torch.cat([group - group.mean(0) for group in groups])
    covariance = within.T @ within / len(within) + RIDGE * torch.eye(
        len(mean), dtype=x.dtype, device=x.device
    )
    directions = torch.linalg.solve(covariance, means.T)  # (hidden, 3)
    z, labels = _stacked(scored)
    scores = (z - mean) / std @ directions - (means * directions.T).sum(1) / 2
    return float((scores.argmax(1) == labels).double().mean())


def invariance(H_m: Mapping[str, Tensor], present: Tensor) -> dict[str, float]:
    """The columns validation_probe and validation_rank_at of a history.

    Only utterances with all modalities count. The probe is fitted to every second one and scored on the rest.

    Args:
        H_m: modality to (N, hidden).
        present: (N, 3) bool; modalities that the corpus lacks do not count.

    Returns:
        The two values; none with fewer than four utterances.
    """
    rows = present.all(1).nonzero().squeeze(1).to(H_m[MODALITIES[0]].device)
    if len(rows) < MIN_UTTERANCES:
        return {}
    fitted, scored = ({m: x[part] for m, x in H_m.items()} for part in (rows[::2], rows[1::2]))
    return {
        "validation_probe": probe(fitted, scored),
        "validation_rank_at": rank(H_m["a"][rows], H_m["t"][rows]),
    }


def _stacked(H_m: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """All features (3 n, hidden) and the number of the modality of each row."""
    features = [H_m[m].double() for m in MODALITIES]
    labels = [torch.full((len(x),), i, device=x.device) for i, x in enumerate(features)]
    return torch.cat(features), torch.cat(labels)


def cmd_by_form(H_m: Mapping[str, Tensor], present: Tensor, K: int) -> dict[str, float]:
    """L_cmd of all utterances at once, in each of MEASURED_CMD_FORMS.

    Args:
        H_m: modality to (N, hidden).
        present: (N, 3) bool; modalities that the corpus lacks do not count.
        K: highest order of moment.

    Returns:
        Form to value; none if the corpus lacks a modality for all utterances.
    """
    complete = {m: H_m[m][present[:, i].to(H_m[m].device)].float() for i, m in enumerate(MODALITIES)}
    if not all(len(H) for H in complete.values()):
        return {}
    return {form: cmd_loss(complete, K, form).item() for form in MEASURED_CMD_FORMS}


def rank(H_1: Tensor, H_2: Tensor) -> float:
    """Mean rank of an utterance's own H_2 among all N by distance from its H_1: 0 first, 0.5 chance, 1 last.

    Equal distances count half.

    Args:
        H_1: (N, hidden), the features of one modality; N at least 2.
        H_2: (N, hidden), the features of another, in the same order.
    """
    distances = torch.cdist(H_1.double(), H_2.double())
    own = distances.diagonal()[:, None]
    before = (distances < own).double().sum(1) + ((distances == own).double().sum(1) - 1) / 2
    return float((before / (len(H_1) - 1)).mean())


def rmse_by_availability(
    H_prime: Mapping[str, Tensor], H: Tensor, present: Tensor, conditions: Iterable[str] = CONDITIONS
) -> dict[str, float]:
    """Root mean squared distance between H' and H, of available and of missing modalities.

    Args:
        H_prime: condition to (N, 3 x hidden).
        H: (N, 3 x hidden), the invariant features of the full input.
        present: (N, 3) bool; modalities that the corpus lacks do not count.
        conditions: the conditions, which count equally.

    Returns:
        available, missing, all: the distances; constant: the distance of the best constant H', the mean of H;
        floor: the distance if H' is exact for available modalities and that mean for missing ones. With the
        form `own` of InvariantInput, nothing can beat the floor.
    """
    target = _by_modality(H)
    weight = present.to(H.device).double()[..., None].expand_as(target)
    mean = (weight * target).sum(0) / weight.sum(0).clamp_min(1)
    squares = dict.fromkeys(("available", "missing", "constant", "constant_missing"), 0.0)
    counts = dict.fromkeys(squares, 0.0)

    def add(name: str, error: Tensor, i: int) -> None:
        squares[name] += (weight[:, i] * error.square()).sum().item()
        counts[name] += weight[:, i].sum().item()

    for c in conditions:
        predicted = _by_modality(H_prime[c])
        for i, m in enumerate(MODALITIES):
            constant_error = target[:, i] - mean[i]
            add("available" if m in c else "missing", predicted[:, i] - target[:, i], i)
            add("constant", constant_error, i)
            if m not in c:
                add("constant_missing", constant_error, i)
    total = counts["constant"] or 1.0
    mse = {name: squares[name] / (counts[name] or 1.0) for name in ("available", "missing", "constant")}
    mse["all"] = (squares["available"] + squares["missing"]) / total
    mse["floor"] = squares["constant_missing"] / total
    return {name: value**0.5 for name, value in mse.items()}


def _by_modality(H: Tensor) -> Tensor:
    """Split the features of a concatenation: (N, 3 x hidden) to (N, 3, hidden) float64."""
    return H.double().view(len(H), len(MODALITIES), -1)


def r2(H_prime: Tensor, H: Tensor, missing: Iterable[str], present: Tensor) -> float:
    """R2 of the H of the missing modalities, predicted by H': 1 - squared error / variance, 0 for their mean.

    Both sums run over all units of all missing modalities.

    Args:
        H_prime: (N, 3 x hidden), in one condition.
        H: (N, 3 x hidden), the invariant features of the full input.
        missing: the missing modalities of the condition.
        present: (N, 3) bool; modalities that the corpus lacks do not count.

    Returns:
        At most 1; 0 if H does not vary, as after a collapse.
    """
    predicted, target = _by_modality(H_prime), _by_modality(H)
    error = variance = n = 0.0
    for m in missing:
        i = MODALITIES.index(m)
        rows = present[:, i].to(H.device)
        expected = target[rows, i]
        error += (predicted[rows, i] - expected).square().sum().item()
        variance += (expected - expected.mean(0)).square().sum().item() if len(expected) else 0.0
        n += expected.numel()
    return 1 - error / variance if variance > SMALLEST_VARIANCE * n else 0.0

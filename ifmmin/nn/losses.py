"""The losses: L_cmd (equation 1), L_img and L_inv.

The gradient of each square root is 0, not NaN, where its argument is 0.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ifmmin.core.terms import MODALITIES

CMD_FORMS = ("plain", "zellinger", "scale_free")

SMALLEST_VARIANCE = 1e-6
"""Added to the variance in the scale-free CMD, so that a unit that hardly varies does not dominate it."""


def central_moment(H: Tensor, k: int) -> Tensor:
    """C_k(H) = E((H - E(H))^k): the biased k-th central moment of each coordinate.

    Args:
        H: (B, D) float32.
        k: order, at least 1.

    Returns:
        (D,) float32.

    Source:
        Paper, below equation 1.
    """
    return (H - H.mean(0)).pow(k).mean(0)


def cmd(H_1: Tensor, H_2: Tensor, K: int, form: str = "plain", width: float = 1.0) -> Tensor:
    """Central moment discrepancy between two batches of features.

    ||E(H_1) - E(H_2)|| / c_1 + sum over k = 2..K of ||C_k(H_1) - C_k(H_2)|| / c_k, where c_k is

        plain        1: equation 1 of the paper. Scaling H down lowers it, so the loss rewards small features.
        zellinger    width^k: for features between two bounds that lie `width` apart.
        scale_free   proportional to the std that the k-th difference has for Gaussian features. Both batches
                     are first standardised with their pooled mean and std, so their scale drops out, apart
                     from nearly constant units.

    Args:
        H_1: (B, D) float32, features of the first modality.
        H_2: (B, D) float32, features of the second modality; B may differ.
        K: highest order of moment, at least 1.
        form: "plain", "zellinger" or "scale_free".
        width: upper minus lower bound of the features; read by "zellinger" only.

    Returns:
        () float32, at least 0; value and gradient are 0 if all moments agree.

    Raises:
        ValueError: if D differs, K < 1 or `form` is unknown.

    Source:
        Paper, equation 1 (one pair). Released code: class CMD in models/utils: the plain form, but with
        gradient NaN at 0. Zellinger et al., "Central Moment Discrepancy", ICLR 2017, definition 1. The
        scale-free form is ours.
    """
    if H_1.shape[1] != H_2.shape[1]:
        raise ValueError(f"H_2 has {H_2.shape[1]} columns; expected {H_1.shape[1]}, as H_1.")
    if K < 1:
        raise ValueError(f"K is {K}; expected at least 1.")
    if form not in CMD_FORMS:
        raise ValueError(f"form is {form!r}; expected {', '.join(CMD_FORMS)}.")
    if form == "scale_free":
        H_1, H_2 = standardised(H_1, H_2)
    c = {"plain": lambda k: 1.0, "zellinger": lambda k: width**k, "scale_free": normal_std}[form]
    distances = [torch.linalg.vector_norm(H_1.mean(0) - H_2.mean(0)) / c(1)]
    distances += [
        torch.linalg.vector_norm(central_moment(H_1, k) - central_moment(H_2, k)) / c(k)
        for k in range(2, K + 1)
    ]
    return torch.stack(distances).sum()


def standardised(H_1: Tensor, H_2: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two batches (B, D) to the mean and the standard deviation of both together, per coordinate.

    The gradient flows through mean and deviation as well, so that it cannot reduce the loss by shrinking
    the features. A coordinate without variance becomes 0.
    """
    both = torch.cat([H_1, H_2])
    mean, scale = both.mean(0), (both.var(0, correction=0) + SMALLEST_VARIANCE).rsqrt()
    return (H_1 - mean) * scale, (H_2 - mean) * scale


def normal_std(k: int) -> float:
    """Asymptotic std of the k-th central moment of n standard normal samples, times sqrt(n); k = 1: the mean.

    Source:
        Cramer, Mathematical Methods of Statistics, 1946, section 28.1.
    """
    if k == 1:
        return 1.0
    mu = _normal_moment
    return math.sqrt(mu(2 * k) - mu(k) ** 2 - 2 * k * mu(k - 1) * mu(k + 1) + k**2 * mu(k - 1) ** 2)


def _normal_moment(k: int) -> int:
    """E(z^k) of a standard normal z: (k - 1)!! for even k, 0 for odd k."""
    return 0 if k % 2 else math.prod(range(1, k, 2))


def cmd_loss(H_m: Mapping[str, Tensor], K: int, form: str = "plain", width: float = 1.0) -> Tensor:
    """L_cmd: mean CMD over the three pairs of modalities. Paper, equation 1.

    Args:
        H_m: modality to (B, D) float32.
        K: highest order of moment.
        form: as in `cmd`.
        width: as in `cmd`.

    Returns:
        () float32.
    """
    a, v, t = (H_m[m] for m in MODALITIES)
    return (cmd(t, a, K, form, width) + cmd(t, v, K, form, width) + cmd(a, v, K, form, width)) / 3


def feature_distance(prediction: Tensor, target: Tensor, distance: str) -> Tensor:
    """Root mean squared error (paper) or mean squared error (released code).

    Args:
        prediction: (B, D) float32.
        target: (B, D) float32.
        distance: "rmse" or "mse"; the mean runs over all B x D elements.

    Returns:
        () float32.

    Raises:
        ValueError: if `distance` is neither "rmse" nor "mse".

    Source:
        Paper, section 2.2.2 (RMSE). Released code: MSE.
    """
    difference = prediction - target
    if distance == "rmse":
        rmse: Tensor = torch.linalg.vector_norm(difference) / difference.numel() ** 0.5
        return rmse
    if distance == "mse":
        return difference.square().mean()
    raise ValueError(f"distance is {distance!r}; expected 'rmse' or 'mse'.")

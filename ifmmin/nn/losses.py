"""The losses: L_cmd (equation 1), L_img and L_inv.

The gradient of each square root is 0, not NaN, where its argument is 0.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ifmmin.core.terms import MODALITIES


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


def cmd(H_1: Tensor, H_2: Tensor, K: int) -> Tensor:
    """Central moment discrepancy between two batches of features.

    ||E(H_1) - E(H_2)|| + sum over k = 2..K of ||C_k(H_1) - C_k(H_2)||, without division by the
    range of values.

    Args:
        H_1: (B, D) float32, features of the first modality.
        H_2: (B, D) float32, features of the second modality; B may differ.
        K: highest order of moment, at least 1.

    Returns:
        () float32, at least 0; value and gradient are 0 if all moments agree.

    Raises:
        ValueError: if D differs or K < 1.

    Source:
        Paper, equation 1 (one pair). Released code: class CMD in models/utils: the same formula, but with
        gradient NaN at 0.
    """
    if H_1.shape[1] != H_2.shape[1]:
        raise ValueError(f"H_2 has {H_2.shape[1]} columns; expected {H_1.shape[1]}, as H_1.")
    if K < 1:
        raise ValueError(f"K is {K}; expected at least 1.")
    distances = [torch.linalg.vector_norm(H_1.mean(0) - H_2.mean(0))]
    distances += [
        torch.linalg.vector_norm(central_moment(H_1, k) - central_moment(H_2, k)) for k in range(2, K + 1)
    ]
    return torch.stack(distances).sum()


def cmd_loss(H_m: Mapping[str, Tensor], K: int) -> Tensor:
    """L_cmd: mean CMD over the three pairs of modalities. Paper, equation 1.

    Args:
        H_m: modality to (B, D) float32.
        K: highest order of moment.

    Returns:
        () float32.
    """
    a, v, t = (H_m[m] for m in MODALITIES)
    return (cmd(t, a, K) + cmd(t, v, K) + cmd(a, v, K)) / 3


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

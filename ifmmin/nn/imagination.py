"""IF-IM, the imagination module: a cascade of autoencoders with the inputs h and H'.

Source: paper, section 2.2.1, equation 2.
"""

from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ifmmin.nn.sequences import to_device


class Imagined(NamedTuple):
    """Output of the cascade.

    Attributes:
        h_prime: (B, 3 x hidden) float32, imagined features.
        C: (B, M x bottleneck) float32, joint representation: the concatenated bottlenecks.
    """

    h_prime: Tensor
    C: Tensor


class Autoencoder(nn.Module):
    """One omega_i: size -> ... -> bottleneck -> ... -> size.

    LeakyReLU in the encoder, ReLU in the decoder; neither the bottleneck nor the output has an activation.

    Source:
        Paper, section 3.1 (384-256-128-64-128-256-384). Activations: released code,
        models/networks/autoencoder_2.py.
    """

    def __init__(self, *, size: int, layers: list[int]) -> None:
        """Build for `size` features; `layers` lists the widths down to the bottleneck."""
        super().__init__()
        self.encoder = _stack([size, *layers], nn.LeakyReLU)
        self.decoder = _stack([*reversed(layers), size], nn.ReLU)

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Map u (B, size) to its bottleneck (B, layers[-1]) and Delta z (B, size)."""
        bottleneck = self.encoder(u)
        return bottleneck, self.decoder(bottleneck)


def reversed_target(available: Tensor, h: Tensor, h_missing: Tensor) -> Tensor:
    """h'', the target of h': the teacher's embedding of the reverse-masked input.

    A missing modality contributes its features, an available one the embedding of the zero placeholder.

    Args:
        available: (B, 3) bool, on the host.
        h: (B, 3 x hidden) float32, the teacher's features of the full input.
        h_missing: (B, 3 x hidden) float32, the embeddings of the zero placeholders.

    Returns:
        (B, 3 x hidden) float32.

    Source:
        Released code, models/IFMMIN_model.py and mmin_model.py (the paper defines it for the missing modality
        only).
    """
    hidden = h.shape[1] // available.shape[1]
    return torch.where(to_device(available, h).repeat_interleave(hidden, dim=1), h_missing, h)


def _stack(widths: list[int], activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


class Imagination(nn.Module):
    """The cascade omega_1 ... omega_M.

    The input u_i of autoencoder i depends on `cascade` (u_1 = h + H' always):

        every      Delta z_{i-1} + H'          equation 2 of the paper; released code of 2024
        first      Delta z_{i-1}               the ablation "w/o cascaded input"
        if22       h + i H'                    released code of 2022
        residual   u_{i-1} + Delta z_{i-1}     the cascade of MMIN

    The output is Delta z_M (paper) or, with `residual_output`, u_M + Delta z_M. With `transition`, two linear
    maps with a ReLU in between follow, as in every released version.
    """

    def __init__(
        self, *, size: int, layers: list[int], M: int, cascade: str, residual_output: bool, transition: bool
    ) -> None:
        """Build M autoencoders for `size` features.

        Args:
            size: number of features of h, 3 x hidden.
            layers: widths of each autoencoder down to its bottleneck.
            M: number of autoencoders.
            cascade: one of the four values above.
            residual_output: whether u_M is added to Delta z_M.
            transition: whether two linear layers with a ReLU follow.

        Raises:
            ValueError: if `cascade` is unknown.
        """
        super().__init__()
        if cascade not in ("every", "first", "if22", "residual"):
            raise ValueError(f"cascade is {cascade!r}; expected every, first, if22 or residual.")
        self.omega = nn.ModuleList(Autoencoder(size=size, layers=layers) for _ in range(M))
        self.cascade = cascade
        self.residual_output = residual_output
        self.transition = (
            nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
            if transition
            else nn.Identity()
        )

    def forward(self, h: Tensor, H_prime: Tensor) -> Imagined:
        """Imagine the features of the missing modalities.

        Args:
            h: (B, size) float32, features of the available input.
            H_prime: (B, size) float32, predicted invariant features.

        Returns:
            h' and C.

        Source:
            Paper, equation 2.
        """
        u, bottlenecks = self._cascade(h, H_prime)
        delta_z = self._last().decoder(bottlenecks[-1])
        return Imagined(
            self.transition(u + delta_z if self.residual_output else delta_z), torch.cat(bottlenecks, dim=1)
        )

    def joint(self, h: Tensor, H_prime: Tensor) -> Tensor:
        """Compute C only; prediction does not need h'. Arguments as in forward."""
        return torch.cat(self._cascade(h, H_prime)[1], dim=1)

    def _cascade(self, h: Tensor, H_prime: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute u_M and the bottlenecks of all autoencoders, without decoding the last one."""
        u, delta_z = torch.zeros_like(h), h  # so that u_1 = h + H' for every cascade
        bottlenecks = []
        for i, omega_i in enumerate(self.omega[:-1], start=1):
            u = self._input(i, h, H_prime, u, delta_z)
            bottleneck, delta_z = omega_i(u)
            bottlenecks.append(bottleneck)
        u = self._input(len(self.omega), h, H_prime, u, delta_z)
        return u, [*bottlenecks, self._last().encoder(u)]

    def _last(self) -> Autoencoder:
        return cast("Autoencoder", self.omega[-1])

    def _input(self, i: int, h: Tensor, H_prime: Tensor, u: Tensor, delta_z: Tensor) -> Tensor:
        """Compute u_i from u_{i-1} and Delta z_{i-1}."""
        if i == 1 or self.cascade == "every":
            return delta_z + H_prime
        if self.cascade == "first":
            return delta_z
        if self.cascade == "if22":
            return h + i * H_prime
        return u + delta_z

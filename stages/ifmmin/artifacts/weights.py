"""Weights of encoders and of trained systems.

    data/encoders/<kind>/<fold>-<seed>.safetensors    written by pretrain, read by train
    data/models/<system>/<fold>-<seed>.safetensors    written by train, read by evaluate

Tensors are float32 under their module's parameter names. The header has one metadata key, "ifmmin", holding
JSON with sorted keys: with one key the bytes are the same in each run, with several they are not. It says
whose weights they are (encoders: kind, models: system; both: fold and seed), how to build the network (build;
encoders also say encoders, models start: n_classes and encoders or sizes), how it was optimised (fit), on
which kind of device and in which precision (run; pretrained: the same of its encoders, null where it has
none), and which encoders collapsed. A model has all that its use takes: corpus (features/corpus.json:
classes, and what the frames come from), scaling (of the acoustic frames, as in scalings) and calibration
(condition to temperature, and to the expected calibration error of the validation utterances, in [0, 1],
before and after it).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from ifmmin.errors import one_line
from ifmmin.files import ArtifactError, check_source, whole

KEY = "ifmmin"


def write(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and header, after checking that all numbers are finite."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _check(path, plain)
    with whole(path) as temporary:
        # Its save_file hides what the disk said.
        temporary.write_bytes(safetensors.torch.save(plain, {KEY: json.dumps(header, sort_keys=True)}))


def read(path: Path, **expected: object) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read tensors, on the CPU, and header.

    Args:
        path: the file.
        expected: what the header must say, by key: an ablation's weights fit the full system, and a model of
            another fold has seen this fold's test speaker.

    Raises:
        ArtifactError: if the file is no safetensors file of ours, a number in it is not finite, or its header
            says something else than expected.
        FileNotFoundError: if there is none.
    """
    path.stat()  # names the file where there is none; safetensors does not
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (safetensors.SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: not weights of this pipeline ({one_line(error)}). Rerun the stage that writes it."
        ) from error
    if not isinstance(header, dict) or any(x.dtype != torch.float32 for x in tensors.values()):
        raise ArtifactError(
            f"{path}: not weights of this pipeline (expected float32 and settings). "
            "Rerun the stage that writes it."
        )
    _check(path, tensors)
    check_source(path, header, expected)
    return tensors, header


def _check(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Infinite weights can give finite predictions: so they are looked for here."""
    bad = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if bad:
        raise ArtifactError(
            f"{path}: {', '.join(bad)}: not all numbers are finite; expected weights that have not diverged. "
            "Lower lr (params.yaml), or rerun the stage that writes it."
        )

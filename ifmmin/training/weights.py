"""Weights of encoders and of trained systems.

    data/encoders/<kind>/<fold>-<seed>.safetensors    written by pretrain, read by train
    data/models/<system>/<fold>-<seed>.safetensors    written by train, read by evaluate

Tensors are float32; their names are the parameter names of the module. The header has a single metadata key,
"ifmmin", because the order of several keys varies between runs. Its value is JSON with sorted keys:

    kind or system, fold, seed   identity of the encoders (kind) or model (system)
    build                        arguments of the build function
    encoders                     encoder files only: settings of the encoders
    start                        model files only: n_classes, and encoders or sizes
    fit                          optimisation settings
    run, pretrained              device type and precision of this run and of the pretraining (null without)
    collapsed                    collapsed encoders
    corpus                       model files only: content of corpus.json (see corpus/features.py)
    scaling                      model files only: acoustic scaling (see corpus/scalings.py)
    calibration                  model files only: condition to temperature, fitted on validation utterances
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from ifmmin.core.errors import one_line
from ifmmin.core.files import ArtifactError, atomic_write, check_source

KEY = "ifmmin"


def write(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and header.

    Raises:
        ArtifactError: if a tensor is not finite.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _check(path, contiguous)
    with atomic_write(path) as temporary:
        # safetensors.torch.save_file would hide the error of the operating system.
        temporary.write_bytes(safetensors.torch.save(contiguous, {KEY: json.dumps(header, sort_keys=True)}))


def read(path: Path, **expected: object) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read the tensors, on the CPU, and the header.

    Args:
        path: the file.
        expected: required values in the header, by key. This check is needed: the weights of an ablation fit
            the full system, and a model of another fold was trained on the test speaker of this fold.

    Raises:
        ArtifactError: if the file is not a safetensors file of this pipeline, a weight is not finite,
            or the header does not have the expected values.
        FileNotFoundError: if the file does not exist.
    """
    path.stat()  # raises an error with the file name; safetensors does not
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (safetensors.SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: not a weights file of this pipeline ({one_line(error)}). "
            "Rerun the stage that writes it."
        ) from error
    if not isinstance(header, dict) or any(x.dtype != torch.float32 for x in tensors.values()):
        raise ArtifactError(
            f"{path}: not a weights file of this pipeline; expected float32 tensors and a header. "
            "Rerun the stage that writes it."
        )
    _check(path, tensors)
    check_source(path, header, expected)
    return tensors, header


def _check(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that all tensors are finite. Infinite weights can give finite predictions."""
    not_finite = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if not_finite:
        raise ArtifactError(
            f"{path}: {', '.join(not_finite)}: not all values are finite; expected finite weights. "
            "Training has diverged. Lower lr (params.yaml), or rerun the stage that writes it."
        )

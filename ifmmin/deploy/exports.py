"""An exported model: a folder laid out as a Hugging Face Hub repository.

    model.safetensors          the model file as written by train
    model.onnx                 inputs and outputs: deploy/graph.py
    config.json                model_type, system, start, build, conditions, id2label, label2id, calibration,
                               extractors
    preprocessor_config.json   feature_sizes of a, v, t; mean and std of the acoustic dimensions; note
    README.md                  the model card
    LICENSE.md                 the licence of the weights

Equal results give equal bytes. Written by export.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ifmmin.core.files import ArtifactError, atomic_folder, atomic_write, write_json

CONFIG = "config.json"


def write(
    folder: Path,
    *,
    model: Path,
    onnx: bytes,
    config: Mapping[str, Any],
    preprocessor: Mapping[str, Any],
    card: str,
    licence: str,
) -> None:
    """Write an export atomically; replace an older one.

    Args:
        folder: the target.
        model: the model file.
        onnx: model.onnx.
        config: config.json.
        preprocessor: preprocessor_config.json.
        card: README.md.
        licence: LICENSE.md.

    Raises:
        ArtifactError: if the folder exists, is not empty and is not an export.
    """
    if folder.exists() and not (folder / CONFIG).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise ArtifactError(
            f"{folder}: exists and is not an export; expected an export or a new folder. Pass another folder."
        )
    with atomic_folder(folder, over=True) as temporary:
        shutil.copyfile(model, temporary / "model.safetensors")
        write_json(temporary / CONFIG, config)
        write_json(temporary / "preprocessor_config.json", preprocessor)
        texts = {"README.md": card.encode(), "LICENSE.md": f"{licence}\n".encode()}
        for name, content in {"model.onnx": onnx, **texts}.items():
            with atomic_write(temporary / name) as file:
                file.write_bytes(content)

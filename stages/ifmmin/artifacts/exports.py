"""An exported model: a folder in the form of a repository of the Hugging Face Hub.

    model.safetensors          the model's file as train wrote it
    model.onnx                 inputs and outputs: exporting/graph.py
    config.json                model_type, system, start, build, conditions, id2label, label2id, calibration,
                               extractors
    preprocessor_config.json   feature_sizes of a, v, t; mean and std of the acoustic dimensions; note
    README.md                  the model card
    LICENSE.md                 whose licence applies

Equal results are equal bytes. Written by export.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ifmmin.files import ArtifactError, whole, whole_folder, write_json

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
    """Write an export, whole or not at all, in the place of an older one.

    Args:
        folder: the target.
        model: the file that train wrote.
        onnx: model.onnx.
        config: config.json.
        preprocessor: preprocessor_config.json.
        card: README.md.
        licence: LICENSE.md.

    Raises:
        ArtifactError: if something else stands in its place.
    """
    if folder.exists() and not (folder / CONFIG).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise ArtifactError(f"{folder}: is no export; expected one, or nothing. Name another folder.")
    with whole_folder(folder, over=True) as made:
        shutil.copyfile(model, made / "model.safetensors")
        write_json(made / CONFIG, config)
        write_json(made / "preprocessor_config.json", preprocessor)
        texts = {"README.md": card.encode(), "LICENSE.md": f"{licence}\n".encode()}
        for name, content in {"model.onnx": onnx, **texts}.items():
            with whole(made / name) as file:
                file.write_bytes(content)

"""Resolved settings of one system or one kind of pretraining, and a marker that params.yaml is valid.

    data/configs/<name>.json   {"build": keyword arguments of the module's build function,
                               "fit": optimisation settings}
    data/checked.json          {"corpus": the value of this key in params.yaml}

Written by the stage configure. The stages pretrain and train read the configs instead of params.yaml, so a
changed parameter retrains only the systems that use it. No stage reads checked.json; ingest depends on it, so
that no stage runs before params.yaml is checked.
"""

from pathlib import Path
from typing import Any

from ifmmin.core.files import ArtifactError, read_json, write_json


def write(path: Path, config: dict[str, dict[str, Any]]) -> None:
    """Write the settings of one system or pretraining."""
    write_json(path, config)


def write_checked(path: Path, corpus: str) -> None:
    """Write the marker that params.yaml was checked for this corpus."""
    write_json(path, {"corpus": corpus})


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Read the settings.

    Raises:
        ArtifactError: if the file does not hold exactly the groups build and fit.
    """
    config = read_json(path, "Rerun configure.")
    if set(config) != {"build", "fit"} or not all(isinstance(group, dict) for group in config.values()):
        raise ArtifactError(
            f"{path}: keys are {sorted(config)}; expected the groups build and fit. Rerun configure."
        )
    return config

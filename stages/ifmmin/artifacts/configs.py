"""The resolved settings of one system or of one kind of pretraining.

    data/configs/<name>.json   {"build": the keyword arguments of its build, "fit": settings of its
                               optimisation}

Written by configure. Read by pretrain and train, which read params.yaml never: so a parameter retrains its
readers alone.
"""

from pathlib import Path
from typing import Any

from ifmmin.files import ArtifactError, read_json, write_json


def write(path: Path, config: dict[str, dict[str, Any]]) -> None:
    """Write the settings."""
    write_json(path, config)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Read the settings.

    Raises:
        ArtifactError: if it does not hold these two groups.
    """
    config = read_json(path, "Rerun configure.")
    if set(config) != {"build", "fit"} or not all(isinstance(group, dict) for group in config.values()):
        raise ArtifactError(f"{path}: holds {sorted(config)}; expected build and fit. Rerun configure.")
    return config

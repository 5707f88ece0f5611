"""The resolved settings of one system or of one kind of pretraining, and that params.yaml was checked.

    data/configs/<name>.json   {"build": the keyword arguments of its build, "fit": settings of its
                               optimisation}
    data/checked.json          {"corpus": the key of params.yaml}

Written by configure. The first are read by pretrain and train, which read params.yaml never: so a parameter
retrains its readers alone. The second is read by nobody: ingest, and so all that follows, depends on it.
"""

from pathlib import Path
from typing import Any

from ifmmin.files import ArtifactError, read_json, write_json


def write(path: Path, config: dict[str, dict[str, Any]]) -> None:
    """Write the settings."""
    write_json(path, config)


def write_checked(path: Path, corpus: str) -> None:
    """Write that params.yaml, with this corpus, was checked."""
    write_json(path, {"corpus": corpus})


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Read the settings.

    Raises:
        ArtifactError: if it does not hold these two groups.
    """
    config = read_json(path, "Rerun configure.")
    if set(config) != {"build", "fit"} or not all(isinstance(group, dict) for group in config.values()):
        raise ArtifactError(f"{path}: holds {sorted(config)}; expected build and fit. Rerun configure.")
    return config

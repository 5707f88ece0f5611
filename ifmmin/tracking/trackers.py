"""Copy the history of a training run to TensorBoard or MLflow while it trains.

    IFMMIN_TRACKING=tensorboard   logs/tensorboard/<name>/<fold>-<seed>/events.out.tfevents.*
    IFMMIN_TRACKING=mlflow        MLflow's own place: MLFLOW_TRACKING_URI, by default mlflow.db

Each metric is named after its column in training/histories.py, and its step is the epoch. The marks of the
chosen epoch are missing, because they are known only at the end.

No artifact depends on this package. It is therefore not among the deps in dvc.yaml, and changing it retrains
nothing. Only stages and commands may import it (pyproject.toml, importlinter).
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from ifmmin.core.entry import LOGS
from ifmmin.core.errors import UserError, one_line

VARIABLE = "IFMMIN_TRACKING"
PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny"}
"""Values of the variable, each with the package that it needs; the package mlflow includes mlflow-skinny."""

OnEpoch = Callable[[Mapping[str, float]], None]


def selected() -> str | None:
    """The tracker in IFMMIN_TRACKING; None by default.

    Raises:
        UserError: if the value is not known, or the package of the tracker is not installed.
    """
    name = os.environ.get(VARIABLE, "")
    if not name:
        return None
    if name not in PACKAGES:
        raise UserError(f"{VARIABLE} is {name!r}; expected {' or '.join(PACKAGES)}. Correct or unset it.")
    try:
        metadata.version(PACKAGES[name])
    except metadata.PackageNotFoundError as error:
        raise UserError(
            f"{VARIABLE} is {name!r}, but the package {PACKAGES[name]} is not installed. "
            "Run pip install '.[tracking]', or unset the variable."
        ) from error
    return name


@contextmanager
def tracked(
    on_epoch: OnEpoch, tags: Mapping[str, str | int], settings: Mapping[str, Mapping[str, Any]], key: str
) -> Iterator[OnEpoch]:
    """Send the history of a training run to the selected tracker, if any.

    Args:
        on_epoch: called with each row of the history, tracked or not.
        tags: kind or system, fold and seed, in this order.
        settings: the settings of the run in groups, see core/configs.py.
        key: digest of everything that determines the run (`Checkpoint.key`).

    Yields:
        A function to call with each row of the history, including those of the epochs before a resumption.

    Raises:
        UserError: as for `selected`, or if MLflow reports an error.
    """
    tracker = selected()
    if tracker is None:
        yield on_epoch
        return
    system, fold, seed = tags.values()
    name = f"{system}/{fold}-{seed}"
    with _tensorboard(name) if tracker == "tensorboard" else _mlflow(name, tags, settings, key) as log:

        def both(row: Mapping[str, float]) -> None:
            on_epoch(row)
            log(row)

        yield both


@contextmanager
def _tensorboard(name: str) -> Iterator[OnEpoch]:
    """Write a new event file; remove an earlier one, which TensorBoard would draw into the same curve."""
    from torch.utils.tensorboard import SummaryWriter

    folder = LOGS / "tensorboard" / name
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(folder, flush_secs=10) as writer:

        def log(row: Mapping[str, float]) -> None:
            for column in row.keys() - {"epoch"}:
                writer.add_scalar(column, row[column], int(row["epoch"]))

        yield log


@contextmanager
def _mlflow(
    name: str, tags: Mapping[str, str | int], settings: Mapping[str, Mapping[str, Any]], key: str
) -> Iterator[OnEpoch]:
    """Start an MLflow run, or continue the unfinished one with this key: its epochs have the same numbers."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # as for DVC, see .dvc/config
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        run_id = _unfinished(key)
        with mlflow.start_run(run_id, run_name=name, tags={**tags, "key": key}) as run:
            mlflow.log_params(
                {f"{group}.{k}": v for group, values in settings.items() for k, v in values.items()}
            )
            last = run.data.metrics.get("epoch", 0)

            def log(row: Mapping[str, float]) -> None:
                if row["epoch"] > last:
                    mlflow.log_metrics(dict(row), step=int(row["epoch"]))

            yield log
    except MlflowException as error:
        raise UserError(
            f"MLflow at {mlflow.get_tracking_uri()} reports: {one_line(error)}. "
            "Check MLFLOW_TRACKING_URI, or unset IFMMIN_TRACKING."
        ) from error


def _unfinished(key: str) -> str | None:
    """The id of the unfinished MLflow run with this key, if any."""
    import mlflow

    LOGS.mkdir(exist_ok=True)
    with (LOGS / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # MLflow fails if two processes create its database at once
        runs = mlflow.search_runs(
            filter_string=f"tags.key = '{key}' and attributes.status != 'FINISHED'",
            max_results=1,
            output_format="list",
        )
    return runs[0].info.run_id if runs else None

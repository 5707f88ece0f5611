"""TensorBoard and MLflow get the numbers of the history files, and the artifacts keep their bytes."""

from contextlib import nullcontext
from importlib import metadata

import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ifmmin.core import configs, entry
from ifmmin.core.errors import UserError
from ifmmin.tracking import trackers
from ifmmin.training import histories

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside MLflow and SQLAlchemy

each_tracker = pytest.mark.parametrize(
    "tracker", ["tensorboard", pytest.param("mlflow", marks=pytest.mark.slow)]
)
"""MLflow takes seconds to create its database."""
RUN = "invariant/1-0"
EPOCHS = 3


@pytest.fixture
def select(monkeypatch, tmp_path):
    """Return a function that selects a tracker; MLflow's database is in tmp_path."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return lambda tracker: monkeypatch.setenv(trackers.VARIABLE, tracker)


def tensorboard_curves(folder, name=RUN):
    """Step and value of each point of each curve."""
    events = EventAccumulator(str(folder / "logs/tensorboard" / name), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def mlflow_runs(name=RUN):
    """The MLflow runs with this name, the newest first."""
    return MlflowClient().search_runs(["0"], f"attributes.run_name = '{name}'")


def mlflow_curves(run):
    curves = {tag: MlflowClient().get_metric_history(run.info.run_id, tag) for tag in run.data.metrics}
    return {tag: [(point.step, point.value) for point in points] for tag, points in curves.items()}


def curves_of(tracker, folder, name=RUN):
    """The curves of the newest run, without MLflow's curve of the epoch itself."""
    if tracker == "tensorboard":
        return tensorboard_curves(folder, name)
    curves = mlflow_curves(mlflow_runs(name)[0])
    assert curves.pop("epoch") == [(i, i) for i in range(1, EPOCHS + 1)]
    return curves


def curves_in(history):
    """The curves that a history file holds, without the marks of the chosen epoch."""
    table = histories.read(history).set_index("epoch")
    return {name: list(table[name].items()) for name in table if not name.startswith("chosen")}


def approximately(curves):
    """TensorBoard stores float32."""
    return {
        name: [(step, pytest.approx(y, rel=1e-6)) for step, y in points] for name, points in curves.items()
    }


@each_tracker
def test_a_tracker_gets_every_number_and_changes_no_byte(stages, pack_of, select, tmp_path, tracker):
    untracked = stages("untracked").corpus(pack_of()).make("if_mmin")

    select(tracker)
    tracked = stages("tracked").corpus(pack_of()).make("if_mmin")

    assert tracked.bytes("if_mmin") == untracked.bytes("if_mmin")
    for name in ("invariant", "if_mmin"):
        expected = curves_in(tracked.path(name, "history.csv"))
        assert len(expected) > 20
        assert curves_of(tracker, tmp_path, f"{name}/1-0") == approximately(expected)


@pytest.mark.slow
def test_an_mlflow_run_has_settings_as_params_and_its_source_as_tags(stages, pack_of, select):
    select("mlflow")
    run = stages().corpus(pack_of()).make("if_mmin")
    fit = configs.read(run.path("if_mmin", "config.json"))["fit"]

    [system], [kind] = mlflow_runs("if_mmin/1-0"), mlflow_runs()

    assert {"system": "if_mmin", "fold": "1", "seed": "0"}.items() <= system.data.tags.items()
    assert {"kind": "invariant", "fold": "1", "seed": "0"}.items() <= kind.data.tags.items()
    assert {f"fit.{key}": str(value) for key, value in fit.items()}.items() <= system.data.params.items()
    assert system.data.params["build.lambda2"] == "100.0"
    assert system.info.status == "FINISHED"


@each_tracker
def test_a_resumed_training_continues_without_repeated_epochs(
    stages, pack_of, select, tmp_path, monkeypatch, tracker
):
    """The checkpoint of epoch 2 is saved, but its row is not tracked yet."""
    select(tracker)
    run = stages().corpus(pack_of())

    def ctrl_c(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(entry, "progress", lambda name, total: nullcontext(ctrl_c))
        with pytest.raises(KeyboardInterrupt):
            run.pretrain("invariant")
    run.pretrain("invariant")

    expected = approximately(curves_in(run.path("invariant", "history.csv")))
    assert curves_of(tracker, tmp_path) == expected
    assert tracker == "tensorboard" or len(mlflow_runs()) == 1


def test_a_second_training_replaces_the_tensorboard_run(stages, pack_of, select, tmp_path):
    select("tensorboard")
    run = stages().corpus(pack_of())
    run.pretrain("invariant")

    run.pretrain("invariant", lr=0.02)

    assert len(list((tmp_path / "logs/tensorboard" / RUN).iterdir())) == 1
    assert curves_of("tensorboard", tmp_path) == approximately(
        curves_in(run.path("invariant", "history.csv"))
    )


@pytest.mark.slow
def test_a_second_training_adds_an_mlflow_run(stages, pack_of, select, tmp_path):
    select("mlflow")
    run = stages().corpus(pack_of())
    run.pretrain("invariant")
    first = curves_in(run.path("invariant", "history.csv"))

    run.pretrain("invariant")

    newer, older = mlflow_runs()
    assert older.info.status == newer.info.status == "FINISHED"
    assert curves_of("mlflow", tmp_path) == first
    assert len(mlflow_curves(older)["L"]) == EPOCHS


def test_an_unknown_tracker_stops_a_stage_before_training(stages, pack_of, select, tmp_path):
    select("wandb")
    run = stages().corpus(pack_of())

    with pytest.raises(UserError, match=r"^IFMMIN_TRACKING is 'wandb'; expected tensorboard or mlflow\."):
        run.pretrain("invariant")

    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(("tracker", "package"), trackers.PACKAGES.items())
def test_a_missing_package_is_named_with_the_command_that_installs_it(select, monkeypatch, tracker, package):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    select(tracker)
    monkeypatch.setattr(metadata, "version", version)

    with pytest.raises(UserError, match=rf"{package} is not installed\. Run pip install '\.\[tracking\]'"):
        trackers.selected()


def test_an_error_of_mlflow_is_a_one_line_error(select, monkeypatch):
    select("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://x")

    with (
        pytest.raises(UserError, match=r"^MLflow at nowhere://x reports: .*Check MLFLOW_TRACKING_URI"),
        trackers.tracked(lambda row: None, {"kind": "k", "fold": 1, "seed": 0}, {}, "key"),
    ):
        pass

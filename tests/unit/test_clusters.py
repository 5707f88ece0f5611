"""Workers of a parallel run, and errors in their settings."""

import gc
from functools import partial

import pytest

from ifmmin.core.errors import UserError
from ifmmin.parallel import clusters
from ifmmin.parallel.supervising import Job


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("", "0,1", ["0", "1"]),
        ("cuda:0", "3", ["3"]),
        ("", "", []),
        ("", "-1", []),
        ("cpu", "0,1", []),
    ],
)
def test_the_gpus_are_the_visible_devices(monkeypatch, device, visible, expected):
    if device:
        monkeypatch.setenv("IFMMIN_DEVICE", device)
    else:
        monkeypatch.delenv("IFMMIN_DEVICE", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert clusters.gpus() == expected


def refused(address=None, file=None):
    with pytest.raises(UserError) as raised, clusters.existing(address, file):
        pass
    return str(raised.value)


def test_an_unreachable_scheduler_gives_a_one_line_error(monkeypatch):
    monkeypatch.setitem(clusters.SETTINGS, "distributed.comm.timeouts.connect", "0.3s")

    message = refused("tcp://127.0.0.1:1")

    assert message.startswith("no Dask scheduler answers at tcp://127.0.0.1:1 (")
    assert message.endswith(
        "; expected a running scheduler. Start one (`dask scheduler`), or correct the address."
    )
    assert "\n" not in message


def test_a_missing_scheduler_file_gives_a_one_line_error(tmp_path):
    path = tmp_path / "nowhere.json"

    assert refused(file=path) == (
        f"{path}: no such file; expected what `dask scheduler --scheduler-file` writes."
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a\n", "is not a mapping"),
        ("a: [\n", "not readable as YAML"),
        ("kores: 3\nmemory: 1GB\n", "kores"),
        ("queue: main\n", "memory"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_unusable_slurm_file_gives_a_one_line_error(tmp_path, text, fault):
    """Half-built objects of dask_jobqueue are garbage-collected here, not in other tests."""
    path = tmp_path / "slurm.yaml"
    path.write_text(text)

    with pytest.raises(UserError, match=fault) as raised, clusters.slurm(path, 1, tmp_path):
        pass

    message = str(raised.value)
    del raised
    gc.collect()
    assert "\n" not in message
    assert str(path) in message


def gpu_job(folder, name, seconds=1.0):
    """A job that writes its start, the GPU it sees, and its end."""
    command = (
        f"date +%s.%N > {name}; echo $CUDA_VISIBLE_DEVICES >> {name}; sleep {seconds}; date +%s.%N >> {name}"
    )
    log, token = folder / f"{name}.log", folder / f"{name}.token"
    return Job(name, [command], str(folder), {}, str(log), str(token), name, gpu=True)


@pytest.mark.slow
@pytest.mark.parametrize(("per_gpu", "at_once"), [(1, False), (2, True)])
def test_a_gpu_runs_as_many_trainings_at_once_as_requested(monkeypatch, tmp_path, per_gpu, at_once):
    """Two workers on a machine with one GPU, number 7, and two training runs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.delenv("IFMMIN_DEVICE", raising=False)
    ended = []

    with clusters.Workers(partial(clusters.local, 2, per_gpu=per_gpu), warm=False) as workers:
        for name in ("first", "second"):
            workers.submit(gpu_job(tmp_path, name))
        while len(ended) < 2:
            ended += workers.ended(1.0)

    (began_1, gpu_1, ended_1), (began_2, gpu_2, ended_2) = (
        (tmp_path / name).read_text().split() for name in ("first", "second")
    )
    assert sorted(ended) == [("first", 0), ("second", 0)]
    assert gpu_1 == gpu_2 == "7"
    assert (float(began_1) < float(ended_2) and float(began_2) < float(ended_1)) == at_once

"""The command line of the parallel runner."""

import pytest

from ifmmin.cli import options as command
from ifmmin.parallel import clusters, options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-j 0", "--jobs is 0; expected at least 1"),
        ("--per-gpu -1", "--per-gpu is -1; expected at least 1"),
        ("-j 2 --address tcp://x:1", "a running scheduler has its own"),
        ("-j 2 --scheduler-file x", "a running scheduler has its own"),
        ("--per-gpu 2 --slurm x", "start other workers with"),
        ("--address x --slurm y", "not allowed with"),
    ],
)
def test_contradictory_options_give_an_error_message(capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        command.read(["run", *arguments.split()])

    assert message in capsys.readouterr().err


def test_options_that_are_not_set_are_none():
    args = command.read(["run", "aggregate"])

    assert (args.targets, args.jobs, args.per_gpu, args.dry) == (["aggregate"], None, None, False)


def test_more_workers_than_gpu_slots_are_refused(monkeypatch, tmp_path):
    """Two GPUs with two trainings each have four slots."""
    monkeypatch.setattr(clusters, "gpus", lambda: ["0", "1"])
    args = command.read(["run", "-j", "5", "--per-gpu", "2"])

    with (
        pytest.raises(options.UserError, match="-j is 5; expected at most 4"),
        options.client(args, 1, print, tmp_path),
    ):
        pass

"""The pipeline's own stages as processes: memory, growth with the corpus, and several at once."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench import generated
from ifmmin.core import configs


class Stages:
    """Stages on one fold, each in a folder of its own."""

    def __init__(self, folder, place, known):
        """Keep where to work, the corpus, and the settings (train_speed.configs)."""
        self.folder, self.place, self.known = folder, place, known

    def start(self, script, name, epochs, run=0):
        """Start pretrain.py or train.py for some epochs."""
        module, config = self.known[name]
        fit = {**config["fit"], "epochs_constant": epochs, "epochs_decay": 0, "on_collapse": "warn"}
        cwd = self.folder / f"{name}-{run}"
        cwd.mkdir(parents=True, exist_ok=True)
        configs.write(cwd / "config.json", {**config, "fit": fit})
        kind = getattr(module, "PRETRAINING", None)
        encoders = self.folder / f"{kind or name}.safetensors"
        ends = ["--history", "history.parquet"]
        if script == "pretrain":
            ends += ["--encoders", str(encoders)]
        else:
            ends += ["--model", "model.safetensors", *(["--encoders", str(encoders)] if kind else [])]
        features, fold, scaling = map(str, self.place)
        given = ["--config", "config.json", "--features", features, "--fold", fold, "--scaling", scaling]
        command = [
            sys.executable,
            "-m",
            f"stages.{script}",
            name,
            *given,
            "--seed",
            "0",
            *ends,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # device and precision are this process's
        return subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True)

    def pretrained(self, kind):
        """Give the systems encoders: one epoch of pretraining."""
        _finish(self.start("pretrain", kind, 1))

    def cpu(self, script, name, epochs):
        """CPU seconds of a stage and the most memory that it had: all of it, and what is its own alone."""
        before = of_children()
        process = self.start(script, name, epochs)
        peak = own = 0
        while process.poll() is None:
            peak, own = max(peak, _memory(process.pid, "VmHWM")), max(own, _memory(process.pid, "RssAnon"))
            time.sleep(0.05)
        _finish(process)
        return of_children() - before, peak, own

    def at_once(self, name, workers, epochs):
        """Wall seconds until several trainings that started together are done."""
        before = time.perf_counter()
        processes = [self.start("train", name, epochs, run) for run in range(workers)]
        for process in processes:
            _finish(process)
        return time.perf_counter() - before


def of_children():
    """CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _finish(process):
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(said)


def _memory(pid, kind):
    """Bytes of a process by /proc (Linux; elsewhere 0). Its own record would start at its parent's peak."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def growth(folder, known, name, factors, *, frames):
    """Train an epoch on corpora of factors times IEMOCAP's utterances.

    Or, with `frames`, on a quarter of them whose sequences are longer by the factors.

    Returns:
        For each factor: CPU seconds above a start-up, bytes at the peak, bytes of its own.
    """
    rows = []
    for factor in factors:
        size, stretch = (0.25, factor) if frames else (factor, 1)
        where = folder / f"{'frames' if frames else 'utterances'}-{factor}"
        place = generated.write(
            where, int(generated.N_TRAIN * size), int(generated.N_OTHER * size), stretch=int(stretch)
        )
        stages = Stages(where, place, known)
        stages.pretrained(known[name][0].PRETRAINING)
        one, two = (stages.cpu("train", name, epochs) for epochs in (1, 2))
        rows.append(
            {"factor": factor, "seconds": two[0] - one[0], "peak_rss_bytes": two[1], "own_bytes": two[2]}
        )
        for path in place.features.glob("*.npy"):
            path.unlink()
    return rows


def exponent(rows):
    """Slope of log seconds over log factor: 1 is linear growth."""
    factor, seconds = (np.log([row[key] for row in rows]) for key in ("factor", "seconds"))
    return float(np.polyfit(factor, seconds, 1)[0])

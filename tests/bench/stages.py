"""Measures the pipeline's stages as processes: memory, growth with the corpus, and several at once."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import project

from bench import generated
from ifmmin.core import configs


class Stages:
    """Stages on one fold, each in a new folder."""

    def __init__(self, folder, place, known):
        """Keep the working folder, the corpus and the configs (train_speed.configs)."""
        self.folder, self.place, self.known = folder, place, known

    def start(self, script, name, epochs, run=0):
        """Start the stage pretrain or train for a number of epochs."""
        module, config = self.known[name]
        fit = {**config["fit"], "epochs_constant": epochs, "epochs_decay": 0, "on_collapse": "warn"}
        cwd = self.folder / f"{name}-{run}"
        cwd.mkdir(parents=True, exist_ok=True)
        configs.write(cwd / "config.json", {**config, "fit": fit})
        kind = getattr(module, "PRETRAINING", None)
        encoders = self.folder / f"{kind or name}.safetensors"
        outputs = ["--history", "history.parquet"]
        if script == "pretrain":
            outputs += ["--encoders", str(encoders)]
        else:
            outputs += ["--model", "model.safetensors", *(["--encoders", str(encoders)] if kind else [])]
        features, fold, scaling = map(str, self.place)
        inputs = ["--config", "config.json", "--features", features, "--fold", fold, "--scaling", scaling]
        command = [
            sys.executable,
            "-m",
            f"stages.{script}",
            name,
            *inputs,
            "--seed",
            "0",
            *outputs,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # device and precision are those of this process
        environment["PYTHONPATH"] = str(project.ROOT)  # works without the package installed, too
        return subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True)

    def pretrained(self, kind):
        """Pretrain the encoders of the systems for one epoch."""
        _finish(self.start("pretrain", kind, 1))

    def cpu(self, script, name, epochs):
        """CPU seconds of a stage, its peak memory, and its peak memory without files."""
        before = children_cpu_seconds()
        process = self.start(script, name, epochs)
        peak = anonymous = 0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid, "VmHWM"))
            anonymous = max(anonymous, _memory(process.pid, "RssAnon"))
            time.sleep(0.05)
        _finish(process)
        return children_cpu_seconds() - before, peak, anonymous

    def at_once(self, name, workers, epochs):
        """Wall seconds of several trainings that run at the same time."""
        before = time.perf_counter()
        processes = [self.start("train", name, epochs, run) for run in range(workers)]
        for process in processes:
            _finish(process)
        return time.perf_counter() - before


def children_cpu_seconds():
    """CPU seconds of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _finish(process):
    _, output = process.communicate()
    if process.returncode:
        raise SystemExit(output)


def _memory(pid, kind):
    """Memory of a process from /proc (0 if there is none); `getrusage` would include its parent's peak."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


def growth(folder, known, name, factors, *, frames):
    """Train an epoch on corpora with factors times IEMOCAP's utterances.

    With `frames`, it trains on a quarter of the utterances with factors times their frames.

    Returns:
        For each factor: CPU seconds of an epoch, peak bytes, peak bytes without files.
    """
    rows = []
    for factor in factors:
        size, stretch = (0.25, factor) if frames else (factor, 1)
        run_folder = folder / f"{'frames' if frames else 'utterances'}-{factor}"
        place = generated.write(
            run_folder, int(generated.N_TRAIN * size), int(generated.N_OTHER * size), stretch=int(stretch)
        )
        stages = Stages(run_folder, place, known)
        stages.pretrained(known[name][0].PRETRAINING)
        seconds, *_ = stages.cpu("train", name, 1)
        more, peak, anonymous = stages.cpu("train", name, 2)
        rows.append(
            {"factor": factor, "seconds": more - seconds, "peak_rss_bytes": peak, "own_bytes": anonymous}
        )
        for path in place.features.glob("*.npy"):
            path.unlink()
    return rows


def exponent(rows):
    """The exponent of growth: the slope of log seconds over log factor."""
    factor, seconds = (np.log([row[key] for row in rows]) for key in ("factor", "seconds"))
    return float(np.polyfit(factor, seconds, 1)[0])

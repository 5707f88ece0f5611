"""Entry point of a stage or command: logging, error messages, exit codes and a record of run time and memory.

The record goes to logs/<stage>.json, outside git and DVC, because a run time in an output would change its
hash on every run. Only processes started by DVC or by `ifmmin run` are recorded.
"""

import argparse
import gc
import json
import logging
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ifmmin.core.errors import UserError

ROOT = "DVC_ROOT"
"""Environment variable in which DVC passes the project folder to a stage."""
LOGS = Path("logs")
RECORDED = ("numpy", "pandas", "pyarrow", "safetensors", "scikit-learn", "scipy", "statsmodels", "torch")

log = logging.getLogger("ifmmin")


def run(main: Callable[[Sequence[str]], Mapping[str, Any] | None], name: str = "") -> None:
    """Run a stage or command and set the exit code: 0, or 1 after printing one line for each error.

    Args:
        main: called with the command-line arguments; the mapping it returns is added to the record.
        name: name of the command; for a stage, DVC provides it.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    started = time.perf_counter()
    default_handler = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if default_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        fields = main(sys.argv[1:]) or {}
        _record(name, {"seconds": round(time.perf_counter() - started, 3), **fields})
    except UserError as error:
        sys.exit(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"{error.filename}: {error.strerror}.")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if default_handler:  # restore it: Ctrl-C may then interrupt exit handlers (torch's compiler report)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        gc.freeze()  # skips the last garbage collection at exit (0.3 s)


def arguments(argv: Sequence[str], description: str | None, *names: str) -> argparse.Namespace:
    """Parse the command line of a stage.

    Args:
        argv: command-line arguments.
        description: docstring of the script.
        names: argument names. Options (--x) are paths, --seed is an integer, positional arguments are text.
            All are required except those in brackets, "[--path]".
    """
    parser = argparse.ArgumentParser(description=description)
    for name in names:
        if name == "--seed":
            parser.add_argument(name, type=int, required=True)
        elif name.strip("[]").startswith("--"):
            parser.add_argument(name.strip("[]"), type=Path, required=not name.startswith("["))
        else:
            parser.add_argument(name)
    return parser.parse_args(argv)


def run_inputs(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Everything that determines the result of a run: the named arguments and `versions`."""
    return {**{name: getattr(args, name.strip("[]").removeprefix("--")) for name in names}, **versions()}


def _record(name: str, fields: Mapping[str, Any]) -> None:
    if ROOT not in os.environ:
        return
    stage = name or os.environ.get("DVC_STAGE") or Path(sys.argv[0]).stem
    content = {
        "stage": stage,
        **fields,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
        **versions(),
    }
    LOGS.mkdir(exist_ok=True)
    (LOGS / f"{stage.rpartition(':')[2]}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def versions() -> dict[str, str]:
    """The processor model, the Python version and the versions of the numerical libraries."""
    return {
        "processor": processor(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in RECORDED},
    }


def processor() -> str:
    """The processor model."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return (
        " ".join(fields.get(key, "") for key in ("model name", "cpu family", "model", "stepping")).strip()
        or platform.machine()
    )


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Show the progress of a training run: a bar on a terminal, otherwise one line per epoch.

    Args:
        name: name of the run.
        total: number of epochs.

    Yields:
        A function to call with each row of the history.
    """
    with tqdm(total=total, desc=name, unit="epoch", disable=not sys.stderr.isatty()) as bar:

        def show(row: Mapping[str, float]) -> None:
            if bar.disable:
                log.info(
                    "%s: epoch %d of %d, L %.4f, validation UA %.4f",
                    name,
                    row["epoch"],
                    total,
                    row["L"],
                    row["validation_ua"],
                )
            bar.set_postfix(L=f"{row['L']:.4f}", UA=f"{row['validation_ua']:.4f}", refresh=False)
            bar.update()

        yield show

"""How a stage starts and ends: logging, one sentence for a user's mistake, and a record of what it cost.

The record goes to logs/<stage>.json of the project, outside git and DVC: seconds in an output would change
its hash each time. What neither DVC nor run.py has started is not recorded.
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

from ifmmin.errors import UserError

ROOT = "DVC_ROOT"
"""The variable by which DVC tells a stage the folder of its project, in which it runs."""
LOGS = Path("logs")
RECORDED = ("numpy", "pandas", "pyarrow", "safetensors", "scikit-learn", "scipy", "statsmodels", "torch")

log = logging.getLogger("ifmmin")


def run(main: Callable[[Sequence[str]], Mapping[str, Any] | None]) -> None:
    """Run a stage's main and leave the process: 0, or 1 after a sentence for each fault.

    Args:
        main: takes the command line's arguments; what it returns is added to the record.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    started = time.perf_counter()
    heard = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        facts = main(sys.argv[1:]) or {}
        _record({"seconds": round(time.perf_counter() - started, 3), **facts})
    except UserError as error:
        sys.exit(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"{error.filename}: {error.strerror}.")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if heard:  # as before: what libraries do at the end (torch's compiler a whole report) may be cut off
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        gc.freeze()  # the process ends: no last search for cycles (0.3 s)


def arguments(argv: Sequence[str], description: str | None, *names: str) -> argparse.Namespace:
    """Read a stage's command line.

    Args:
        argv: the arguments.
        description: the script's docstring.
        names: of the arguments; those with dashes are paths, --seed is a number, others words. All are
            required but those in brackets, "[--path]".
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


def given(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """What determines a run: the values of the named arguments, and `versions`."""
    return {**{name: getattr(args, name.strip("[]").removeprefix("--")) for name in names}, **versions()}


def _record(facts: Mapping[str, Any]) -> None:
    if ROOT not in os.environ:
        return
    stage = os.environ.get("DVC_STAGE") or Path(sys.argv[0]).stem
    content = {
        "stage": stage,
        **facts,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
        **versions(),
    }
    LOGS.mkdir(exist_ok=True)
    (LOGS / f"{stage.rpartition(':')[2]}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def versions() -> dict[str, str]:
    """The processor, and the versions of what computes and writes."""
    return {
        "processor": processor(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in RECORDED},
    }


def processor() -> str:
    """Name the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return (
        " ".join(facts.get(key, "") for key in ("model name", "cpu family", "model", "stepping")).strip()
        or platform.machine()
    )


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Show the epochs of a training: a bar on a terminal, else one line an epoch.

    Yields:
        What to call with each row of the history.
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

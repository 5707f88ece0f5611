"""The command line of ifmmin. It imports a verb's module only after parsing, so --help is fast."""

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ifmmin.cli import options
from ifmmin.core import entry
from ifmmin.core.errors import UserError
from ifmmin.parallel import interrupts


def main(argv: Sequence[str] | None = None) -> None:
    """Run a verb and exit with status 0, 1 (user error) or 2 (usage error)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # exit silently on Ctrl-C while libraries load
    args = options.read(sys.argv[1:] if argv is None else argv)
    if args.verb == "run":
        interrupts.install_handlers()
    entry.run(lambda _: _call(args), args.verb)


def _call(args: argparse.Namespace) -> Mapping[str, Any] | None:
    """Import the module of a verb and run it.

    Raises:
        UserError: if an optional package that this verb needs is not installed.
    """
    try:
        facts: Mapping[str, Any] | None = import_module(f"ifmmin.cli.{args.verb}").main(args)
    except ModuleNotFoundError as error:
        if (error.name or "ifmmin").startswith("ifmmin"):
            raise
        raise UserError(
            f"ifmmin {args.verb} needs the package {error.name!r}, which is not installed. Install the "
            "packages of the pipeline (pip install -r requirements.txt) or an extra (cluster, export, media)."
        ) from error
    return facts

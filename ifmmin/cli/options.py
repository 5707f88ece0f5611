"""The options of every verb of ifmmin. The module avoids slow imports."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import shtab

from ifmmin.core.terms import AUTO, CONDITIONS, FULL, METRICS

CLIP = ("audio", "text", "video")
"""The options of one clip."""


def read(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; exit with a usage message and status 2 if options conflict."""
    parser, verbs = build()
    args = parser.parse_args(argv)
    _check(args, verbs[args.verb])
    return args


def build() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Build the main parser and the parser of each verb."""
    parser = argparse.ArgumentParser(
        prog="ifmmin",
        description="Emotion recognition with missing modalities: run the pipeline, compare experiments, "
        "use trained models. `ifmmin VERB --help` lists the options of a verb.",
    )
    shtab.add_argument_to(parser, "--print-completion", help="print the completion script of a shell")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    parsers = {}
    for name, (summary, add) in VERBS.items():
        parsers[name] = verbs.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
        )
        add(parsers[name])
    return parser, parsers


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", help="stages, as for dvc repro (default: all)")
    parser.add_argument(
        "-j", "--jobs", type=int, help="number of workers (default: as many as GPUs or cores allow)"
    )
    cluster = parser.add_mutually_exclusive_group()
    cluster.add_argument(
        "--address", help="address of a running Dask scheduler, for instance tcp://head:8786"
    )
    cluster.add_argument("--scheduler-file", type=Path, help="file written by `dask scheduler`")
    cluster.add_argument(
        "--slurm", type=Path, metavar="FILE", help="YAML file with arguments of dask_jobqueue.SLURMCluster"
    )
    parser.add_argument("--per-gpu", type=int, help="number of training runs that share a GPU (default: 1)")
    parser.add_argument(
        "--keep-going", action="store_true", help="after a failure, run all stages that do not depend on it"
    )
    parser.add_argument(
        "--cold", action="store_true", help="start a new Python process for each stage, as dvc repro does"
    )
    parser.add_argument(
        "--dry", action="store_true", help="print the stages that would run, without running them"
    )


def _preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of a file in presets/, without its ending")


def _predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", nargs="+", type=Path, required=True, help="model file, or folder of models of one system"
    )
    parser.add_argument("--input", nargs="+", help="feature pack, or m=FILE.h5 for each modality m (a, v, t)")
    parser.add_argument("--audio", type=Path, help="audio file of one clip (needs requirements-media.txt)")
    parser.add_argument("--text", help="transcript of one clip (needs --encoder)")
    parser.add_argument("--video", type=Path, help="video file of one clip")
    parser.add_argument("--encoder", type=Path, help="folder of the text encoder, for --text")
    parser.add_argument(
        "--visual", default="mini_xception", help="network for --video (default: %(default)s)"
    )
    parser.add_argument(
        "--any-extractor",
        action="store_true",
        help="accept features from another extractor; each prediction carries a warning",
    )
    parser.add_argument(
        "--condition",
        choices=(AUTO, *CONDITIONS, FULL),
        default=AUTO,
        help="modalities to use (default: all that an utterance has)",
    )
    parser.add_argument("--out", type=Path, help="file to write, .parquet or .csv")


def _extract(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--transcripts", type=Path, metavar="FILE", help="CSV file: utterance_id,text[,label][,speaker]"
    )
    source.add_argument(
        "--iemocap", type=Path, metavar="RELEASE", help="folder that has Session1 to Session5"
    )
    parser.add_argument("--audio", type=Path, metavar="DIR", help="folder of <utterance_id>.wav or .flac")
    parser.add_argument("--video", type=Path, metavar="DIR", help="folder of <utterance_id>.mp4 or .avi")
    parser.add_argument(
        "--encoder", type=Path, metavar="FOLDER", help="folder of the text encoder (without it, no text)"
    )
    parser.add_argument(
        "--visual",
        default="mini_xception",
        metavar="NAME",
        help="visual network: mini_xception (default), module:factory, or none",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PACK", help="folder to write")


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model file in the project, already evaluated")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "revisions",
        nargs="+",
        metavar="REV",
        help="commits, branches, tags, experiments or `workspace`; the first is the reference",
    )
    parser.add_argument("--out", type=Path, help="folder for the tables (default: ablations/ in the project)")


def _records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--logs", type=Path, help="folder of the records (default: logs/ in the project)")


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("text", "markdown", "csv", "latex", "html"),
        default="text",
        help="format of the table; html: the report with the commit, to send (default: %(default)s)",
    )
    parser.add_argument(
        "--metric", choices=METRICS, default="ua", help="score to print (default: %(default)s)"
    )


VERBS = {
    "run": ("run the pipeline on several workers, as dvc repro would", _run),
    "results": ("print Table 1 of the last run", _results),
    "preset": ("set the values of a preset in params.yaml", _preset),
    "predict": ("predict the emotion of new utterances from their available modalities", _predict),
    "extract": ("extract a feature pack from recordings", _extract),
    "export": ("export a model for the Hugging Face Hub, with ONNX", _export),
    "compare": ("compare experiments utterance by utterance", _compare),
    "records": ("show run time and memory of each stage", _records),
}
"""Verb to its summary and the function that adds its options."""


def _check(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Reject conflicting options."""
    if args.verb == "run":
        _check_run(args, parser)
    elif args.verb == "predict":
        if (args.input is None) == all(getattr(args, name) is None for name in CLIP):
            parser.error("give either --input, or one of --audio, --text and --video.")
    elif args.verb == "extract" and args.iemocap and (args.audio or args.video):
        parser.error("--audio and --video go with --transcripts; the release has its own folders")


def _check_run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    for name in ("jobs", "per_gpu"):
        if (n := getattr(args, name)) is not None and n < 1:
            parser.error(f"--{name.replace('_', '-')} is {n}; expected at least 1")
    if args.jobs and (args.address or args.scheduler_file):
        parser.error("-j is for workers that this command starts; a running scheduler has its own")
    if args.per_gpu and (args.address or args.scheduler_file or args.slurm):
        parser.error("--per-gpu is for this machine; start other workers with --resources GPU=N")
    for name in ("scheduler_file", "slurm"):  # relative to the current working directory
        if path := getattr(args, name):
            setattr(args, name, path.resolve())

"""Says which emotion new utterances have, each from the modalities that it has.

    python stages/predict.py --model data/models/if_mmin/1-0.safetensors --input PACK --out emotions.parquet
    python stages/predict.py --model FOLDER --input a=speech.h5 t=words.h5
    python stages/predict.py --model MODEL --audio clip.wav --text "..." --encoder FOLDER

A folder of models answers together, by the mean of their probabilities: data/models/if_mmin is an ensemble
over folds and seeds. All must be of one system. A pack needs no targets; its HDF5 files hold a data set
[T, D] for each utterance.
OMP_NUM_THREADS batches are answered at once, else one on each core; no answer depends on it.
"""

import ifmmin  # noqa: F401, I001 - refuses an old Python before the imports below fail on it

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin import entry, inference, systems
from ifmmin.artifacts import emotions, raw, weights
from ifmmin.errors import UserError
from ifmmin.terms import CONDITIONS, FULL, MODALITIES
from ifmmin.training import devices, seeding

AT_ONCE = 512
"""Utterances read and answered together."""
SHOWN = 10
CLIP = ("audio", "text", "video")


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", type=Path, required=True, help="model file, or folder of some")
    parser.add_argument("--input", nargs="+", help="pack, or m=FILE.h5 for each modality m that is there")
    for name, kind in (("--audio", Path), ("--text", str), ("--video", Path)):
        parser.add_argument(name, type=kind, help="of one clip (needs requirements-media.txt)")
    parser.add_argument("--encoder", type=Path, help="folder of the text encoder, for --text")
    parser.add_argument("--visual", default="mini_xception", help="face network, for --video")
    parser.add_argument(
        "--any-extractor",
        action="store_true",
        help="answer although another extractor made the frames; each answer carries a warning",
    )
    parser.add_argument("--condition", choices=(inference.AUTO, *CONDITIONS, FULL), default=inference.AUTO)
    parser.add_argument("--out", type=Path, help="where to write: .parquet or .csv")
    args = parser.parse_args(argv)
    if (args.input is None) == all(getattr(args, name) is None for name in CLIP):
        parser.error("give either --input, or one of --audio, --text and --video.")
    return args


def models(paths: Sequence[Path], device: Any) -> list[inference.Model]:  # noqa: ANN401 - scripts know no torch
    """Load the models that a command line names."""
    folders = {path: sorted(path.rglob("*.safetensors")) for path in paths if path.is_dir()}
    found = [file for path in paths for file in folders.get(path, [path])]
    if not found:
        raise UserError(f"{paths[0]}: holds no model; expected .safetensors files. Check --model.")
    loaded = [model(path, device) for path in found]
    inference.check_ensemble(loaded)
    return loaded


def model(path: Path, device: Any) -> inference.Model:  # noqa: ANN401 - scripts know no torch
    """Load a model."""
    tensors, header = weights.read(path)
    return inference.model(str(path), systems.restore(str(path), tensors, header), device, header)


def inputs(args: argparse.Namespace) -> Iterator[tuple[inference.Frames, dict[str, str]]]:
    """Yield frames of utterances, and what is known of their extractors."""
    if args.input is None:
        from ifmmin.media import extracting

        how = {"encoder": args.encoder, "visual": args.visual}
        made, extractors = extracting.clip(args.audio, args.text, args.video, **how)
        name = next(Path(x).stem for x in (args.audio, args.video, "clip") if x)
        yield {m: {name: made[m]} if m in made else {} for m in MODALITIES}, extractors
        return
    files, extractors = raw.locate(args.input)
    for frames in raw.read_some(files, AT_ONCE):
        yield frames, extractors


def batches(
    trained: Sequence[inference.Model], args: argparse.Namespace, doubts: set[str]
) -> Iterator[inference.Frames]:
    """Yield frames of utterances that the models can read, and collect what makes their answers doubtful."""
    for frames, extractors in inputs(args):
        sizes = {m: next(iter(of.values())).shape[1] for m, of in frames.items() if of}
        doubt = inference.check_frames(trained, sizes, extractors, any_extractor=args.any_extractor)
        doubts |= {doubt} - {""}
        yield frames


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = arguments(argv)
    if args.out:
        emotions.check(args.out)
    threads = devices.side_by_side()
    device, run = devices.settle(threads)
    seeding.start(0)
    trained = models(args.model, device)
    began = time.perf_counter()
    doubts: set[str] = set()
    frames = batches(trained, args, doubts)
    parts = inference.side_by_side(trained, frames, args.condition, run["precision"], threads)
    table = pd.concat(parts, ignore_index=True)
    if doubts:
        table = table.assign(warning=f"other extractor: {'; '.join(sorted(doubts))}")
    seconds = time.perf_counter() - began
    sys.stdout.write(emotions.text(table, SHOWN) + "\n")
    if args.out:
        emotions.write(args.out, table)
    entry.log.info("%d utterances, %.0f a second", len(table), len(table) / seconds)
    return {**run, "utterances": len(table), "utterances_per_second": round(len(table) / seconds, 1)}


if __name__ == "__main__":
    entry.run(main)

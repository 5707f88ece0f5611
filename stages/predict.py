"""Says which emotion new utterances have, each from the modalities that it has.

    python stages/predict.py --model data/models/if_mmin/1-0.safetensors --input PACK --out emotions.parquet
    python stages/predict.py --model FOLDER --input a=speech.h5 t=words.h5
    python stages/predict.py --model MODEL --audio clip.wav --text "..." --encoder FOLDER

A folder of models answers together, by the mean of their probabilities: data/models/if_mmin is an ensemble
over folds and seeds. A pack needs no targets; its HDF5 files hold a data set [T, D] for each utterance.
"""

import argparse
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from ifmmin import entry, inference, systems
from ifmmin.artifacts import emotions, raw, weights
from ifmmin.errors import UserError, one_line
from ifmmin.terms import CONDITIONS, FULL, MODALITIES
from ifmmin.training import devices, seeding

AT_ONCE = 512
"""Utterances read and answered together: memory does not grow with the pack."""
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
    return [model(path, device) for path in found]


def model(path: Path, device: Any) -> inference.Model:  # noqa: ANN401 - scripts know no torch
    """Load a model.

    Raises:
        UserError: if the file holds none.
    """
    tensors, header = weights.read(path)
    try:
        return inference.model(str(path), systems.restore(tensors, header), device, header)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path}: is no model that can be used ({one_line(error)}). Expected what train writes; rerun it."
        ) from error


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


def answers(
    trained: Sequence[inference.Model], args: argparse.Namespace, precision: str, side_by_side: int
) -> Iterator[pd.DataFrame]:
    """Yield the table of one batch after another, some of which are answered while others are read.

    Each is answered on one thread: threads that share a product wait for one another, on a busy machine long,
    and their number changes the last digits.
    """
    with ThreadPoolExecutor(side_by_side) as pool:
        asked: deque[Future[pd.DataFrame]] = deque()
        for frames, extractors in inputs(args):
            sizes = {m: next(iter(of.values())).shape[1] for m, of in frames.items() if of}
            inference.check(trained, sizes, extractors)
            asked.append(pool.submit(inference.emotions, trained, frames, args.condition, precision))
            if len(asked) > side_by_side:
                yield asked.popleft().result()
        yield from (batch.result() for batch in asked)


def main(argv: Sequence[str]) -> dict[str, Any]:
    args = arguments(argv)
    if args.out:
        emotions.check(args.out)
    device, run = devices.settle(1)
    seeding.start(0)
    side_by_side = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    trained = models(args.model, device)
    began = time.perf_counter()
    table = pd.concat(answers(trained, args, run["precision"], side_by_side), ignore_index=True)
    seconds = time.perf_counter() - began
    sys.stdout.write(emotions.text(table, SHOWN) + "\n")
    if args.out:
        emotions.write(args.out, table)
    entry.log.info("%d utterances, %.0f a second", len(table), len(table) / seconds)
    return {**run, "utterances": len(table), "utterances_per_second": round(len(table) / seconds, 1)}


if __name__ == "__main__":
    entry.run(main)

"""`ifmmin predict`: predicts the emotion of new utterances from their available modalities.

A pack needs no labels; its HDF5 files hold a dataset [T, D] for each utterance. OMP_NUM_THREADS batches are
predicted in parallel, by default one on each core; predictions do not depend on their number.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ifmmin.core import entry
from ifmmin.core.terms import MODALITIES
from ifmmin.deploy import api, emotions, inference
from ifmmin.training import devices

SHOWN = 10
"""Number of printed utterances."""


def clip(args: argparse.Namespace) -> Iterator[api.Batch]:
    """Extract the features of one clip."""
    from ifmmin.media import extracting

    options = {"encoder": args.encoder, "visual": args.visual}
    frames, extractors = extracting.clip(args.audio, args.text, args.video, **options)
    name = next(Path(x).stem for x in (args.audio, args.video, "clip") if x)
    yield {m: {name: frames[m]} if m in frames else {} for m in MODALITIES}, extractors


def main(args: argparse.Namespace) -> dict[str, Any]:
    """Predict, print the first predictions, and write all of them."""
    if args.out:
        emotions.check(args.out)
    _, run = devices.configure(inference.batches_at_once())
    model = api.load(*args.model)
    start = time.perf_counter()
    options = {"condition": args.condition, "any_extractor": args.any_extractor}
    table = (
        model.predict_pack(*args.input, **options)
        if args.input
        else model.predict_batches(clip(args), **options)
    )
    seconds = time.perf_counter() - start
    sys.stdout.write(emotions.text(table, SHOWN) + "\n")
    if args.out:
        emotions.write(args.out, table)
    n, per_second = len(table), len(table) / seconds
    entry.log.info("%d %s, %.0f per second", n, "utterance" if n == 1 else "utterances", per_second)
    return {**run, "utterances": n, "utterances_per_second": round(per_second, 1)}

"""Reads params.yaml, presets, requirements.txt, data/features and the tables of aggregate and draw.

Writes the report page.
"""

from collections.abc import Sequence

from ifmmin.core import entry
from ifmmin.core.files import write_text
from ifmmin.corpus import features
from ifmmin.report import charts, page
from ifmmin.results import curves, mechanism, notes, table1, tables
from ifmmin.settings import params, presets

INPUTS = ("--params", "--presets", "--requirements", "--features", "--runs")
TABLES = ("--table", "--scores", "--significance", "--comparison", "--confusion")
CURVES = ("--curves", "--fig3a", "--fig3b")
SHARED = ("lambda1", "lambda2", "K", "M")
RUNS = ("corpus", "folds", "seeds", "rows", "split")
GROUPS = ("pretrainings", "systems", "model", "pretrain", "train", "comparison", "figures")
PARAMS = (*SHARED, *RUNS, *GROUPS)


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *TABLES, *CURVES, "--mechanism", "--out")
    settings, corpus = params.read(args.params, *PARAMS), features.read_corpus(args.features)
    runs = tables.read_runs(args.runs)
    paths = {name.removeprefix("--"): getattr(args, name.removeprefix("--")) for name in (*TABLES, *CURVES)}
    contents = {
        name: (curves if f"--{name}" in CURVES else tables).read(path, name) for name, path in paths.items()
    }
    contents["mechanism"] = mechanism.read(args.mechanism)
    below = notes.below(contents["table"], corpus, runs, contents["significance"], settings["comparison"])
    facts = {
        "preset (compared on the keys it sets)": presets.describe(settings, args.presets),
        **{key: page.plain(settings[key]) for key in ("lambda1", "lambda2", "folds", "seeds")},
        "device and precision": page.plain(table1.devices_and_precisions(runs)),
        "versions": page.plain(page.pinned(args.requirements.read_text("utf-8"))),
    }
    specifications = charts.specifications(
        contents, systems=settings["rows"], figure_system=settings["figures"]["system"]
    )
    context = {"corpus": corpus, "below": below, "facts": facts, "compared": settings["comparison"]}
    html = page.html(contents, specifications, **context, params=dict(presets.flat(settings)))
    write_text(args.out, html)


if __name__ == "__main__":
    entry.run(main)

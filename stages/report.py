"""Reads the tables of aggregate and draw, and what made them. Writes one page that shows them all."""

from collections.abc import Sequence

from ifmmin import averaging, entry, notes, params, presets
from ifmmin.artifacts import curves, features, pages, tables
from ifmmin.reporting import charts, page

INPUTS = ("--params", "--presets", "--requirements", "--features", "--runs")
TABLES = ("--table", "--scores", "--significance", "--comparison", "--confusion")
CURVES = ("--curves", "--fig3a", "--fig3b")
SHARED = ("lambda1", "lambda2", "K", "M")
RUNS = ("corpus", "folds", "seeds", "rows", "split")
GROUPS = ("pretrainings", "systems", "model", "pretrain", "train", "comparison", "figures")
PARAMS = (*SHARED, *RUNS, *GROUPS)


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *TABLES, *CURVES, "--out")
    settings, corpus = params.read(args.params, *PARAMS), features.read_corpus(args.features)
    made = tables.read_runs(args.runs)
    paths = {name.removeprefix("--"): getattr(args, name.removeprefix("--")) for name in (*TABLES, *CURVES)}
    read = {
        name: (curves if f"--{name}" in CURVES else tables).read(path, name) for name, path in paths.items()
    }
    below = notes.below(read["table"], corpus, made, read["significance"], settings["comparison"])
    facts = {
        "preset (of what it sets)": presets.described(settings, args.presets),
        **{key: page.plain(settings[key]) for key in ("lambda1", "lambda2", "folds", "seeds")},
        "device and precision": page.plain(averaging.made_on(made)),
        "versions": page.plain(page.pinned(args.requirements.read_text("utf-8"))),
    }
    shown = charts.specifications(read, systems=settings["rows"], drawn=settings["figures"]["system"])
    given = {"corpus": corpus, "below": below, "facts": facts, "compared": settings["comparison"]}
    pages.write(args.out, page.html(read, shown, **given, params=dict(presets.flat(settings))))


if __name__ == "__main__":
    entry.run(main)

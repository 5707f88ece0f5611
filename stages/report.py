"""Reads params.yaml, presets, requirements.txt, data/features and the tables of the stages before it.

Writes the report page.
"""

from collections.abc import Sequence

from ifmmin.core import entry
from ifmmin.core.files import write_text
from ifmmin.corpus import features
from ifmmin.report import charts, page, palette
from ifmmin.results import curves, findings, mechanism, notes, table1, tables
from ifmmin.settings import params, presets

INPUTS = ("--params", "--presets", "--requirements", "--features", "--runs", "--mechanism")
TABLES = ("table", "scores", "significance", "comparison", "confusion", "recalls")
CURVES = ("curves", "fig3a", "fig3b", "robustness")
SHARED = ("lambda1", "lambda2", "K", "M")
RUNS = ("corpus", "folds", "seeds", "rows", "names", "split")
GROUPS = ("pretrainings", "systems", "model", "pretrain", "train", "comparison", "figures")
PARAMS = (*SHARED, *RUNS, *GROUPS)


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, *INPUTS, *(f"--{name}" for name in (*TABLES, *CURVES)), "--out")
    settings, corpus = params.read(args.params, *PARAMS), features.read_corpus(args.features)
    runs, names, compared = tables.read_runs(args.runs), settings["names"], settings["comparison"]
    contents = {name: tables.read(getattr(args, name), name) for name in TABLES}
    contents |= {name: curves.read(getattr(args, name), name) for name in CURVES}
    contents["mechanism"] = mechanism.summary(mechanism.read(args.mechanism))
    tests = contents["significance"]
    looks = palette.looks(settings["rows"], names, compared)
    facts = {
        "commit": page.NO_COMMIT,
        "preset (compared on the keys it sets)": presets.describe(settings, args.presets),
        **{key: page.plain(settings[key]) for key in ("lambda1", "lambda2", "folds", "seeds")},
        "device and precision": page.plain(table1.devices_and_precisions(runs)),
        "pinned versions": page.plain(page.pinned(args.requirements.read_text("utf-8"))),
    }
    html = page.html(
        contents,
        charts.specifications(contents, looks, names, figure_system=settings["figures"]["system"]),
        looks=looks,
        names=names,
        corpus=corpus,
        findings=findings.sentences(contents["table"], tests, corpus, names, compared["proposed"]),
        below=notes.below(contents["table"], corpus, runs, tests, compared, names),
        facts=facts,
        params=dict(presets.flat(settings)),
    )
    write_text(args.out, html)


if __name__ == "__main__":
    entry.run(main)

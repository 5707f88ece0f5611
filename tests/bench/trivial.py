"""A DVC project with the graph of this one and trivial shell commands, to measure overhead."""

import shutil
import subprocess
from pathlib import Path

import yaml
from project import ROOT

SYSTEMS = [f"system{i}" for i in range(6)]


def stages():
    """Ingest, a split per fold, two pretrainings, six trainings and six evaluations per run, and a table."""
    run = "${item.fold}-${item.seed}"
    name = f"${{item.system}}-{run}"
    runs = {"fold": "${folds}", "seed": "${seeds}"}
    return {
        "ingest": {"cmd": "echo frames > features", "deps": ["raw"], "outs": ["features"]},
        "split": {
            "matrix": {"fold": "${folds}"},
            "cmd": "mkdir -p folds && cat features > folds/${item.fold}",
            "deps": ["features"],
            "outs": ["folds/${item.fold}"],
        },
        "pretrain": {
            "matrix": {"kind": ["invariant", "fusion"], **runs},
            "cmd": f"mkdir -p encoders && echo ${{item.kind}} {run} > encoders/${{item.kind}}-{run}",
            "deps": ["folds/${item.fold}"],
            "outs": [f"encoders/${{item.kind}}-{run}"],
        },
        "train": {
            "matrix": {"system": SYSTEMS, **runs},
            "cmd": f"mkdir -p models && echo ${{item.system}} {run} ${{lambda2}} > models/{name}",
            "deps": [f"encoders/invariant-{run}", f"encoders/fusion-{run}"],
            "outs": [f"models/{name}"],
        },
        "evaluate": {
            "matrix": {"system": SYSTEMS, **runs},
            "cmd": [
                "mkdir -p predictions",
                f"cat models/{name} folds/${{item.fold}} > predictions/{name}",
            ],
            "deps": [f"models/{name}", "folds/${item.fold}"],
            "outs": [f"predictions/{name}"],
        },
        "aggregate": {
            "cmd": "cat predictions/* > all && echo '{\"n\": '$(wc -l < all)'}' > table.json",
            "deps": ["predictions"],
            "outs": ["all"],
            "metrics": [{"table.json": {"cache": False}}],
        },
    }


def make(folder: Path, folds: int = 1, seeds: int = 1, **changed):
    """Write the project as a git repository; `changed` replaces or adds stages."""
    folder.mkdir(parents=True, exist_ok=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    params |= {"folds": list(range(1, folds + 1)), "seeds": list(range(seeds))}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    (folder / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {**stages(), **changed}}, sort_keys=False), "utf-8"
    )
    (folder / "raw").write_text("raw\n", "utf-8")
    ignored = ("features", "folds", "encoders", "models", "predictions", "all", "logs")
    (folder / ".gitignore").write_text("".join(f"/{name}\n" for name in ignored), "utf-8")
    shutil.copytree(
        ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local")
    )
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder

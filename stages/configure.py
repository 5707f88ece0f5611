"""Reads params.yaml, the whole of it, and refuses it with what dvc.yaml and the file system tell of it.

Writes the settings of each system and kind of pretraining, in files apart, so that a parameter retrains its
readers alone; and a file that ingest depends on, so that nothing runs before params.yaml is checked.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from ifmmin import entry, params, planning, schema
from ifmmin.artifacts import configs, raw
from ifmmin.loading import load

SHARED = ("lambda1", "lambda2", "K", "M")
CHECKED = ("corpus", "folds", "seeds", "rows", "split", "comparison")
PARAMS = (*CHECKED, *SHARED, "systems", "pretrainings", "model", "pretrain", "train")
Config = dict[str, dict[str, Any]]
GIVEN = ("condition", "encoders", "n_classes", "sizes")


def accepts(module: ModuleType) -> list[str]:
    """The parameters that a build reads.

    They are its keyword arguments without a value, but for what the corpus and pretraining give.
    """
    parameters = inspect.signature(module.build).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.name not in GIVEN]


def system(kind: str, name: str) -> ModuleType:
    """Load a system, which must start from the kind of encoders that it is listed under."""
    module = load("systems", name)
    own = module.PRETRAINING or schema.SCRATCH
    if kind != own:
        raise params.ParamsError(
            f"system {name!r} stands under systems.{kind}; its file starts from {own!r}. "
            "Move it there in params.yaml."
        )
    return module


def resolved(settings: Mapping[str, Any], where: object) -> Iterator[tuple[str, ModuleType, Config]]:
    """Name, file and settings of each system and kind of pretraining; `where` names params.yaml in errors."""
    entries = [
        (f"systems.{kind}.{name}", system(kind, name), entry_, "train")
        for kind, group in settings["systems"].items()
        for name, entry_ in group.items()
    ]
    entries += [
        (f"pretrainings.{kind}", load("pretrainings", kind), entry_, "pretrain")
        for kind, entry_ in settings["pretrainings"].items()
    ]
    for key, module, entry_, group in entries:
        config = params.resolve(
            entry_,
            accepts=accepts(module),
            shared={key: settings[key] for key in SHARED},
            model=settings["model"],
            fit=settings[group],
            where=f"{where}, key {key}",
        )
        yield key.rpartition(".")[2], module, config


def main(argv: Sequence[str]) -> None:
    args = entry.arguments(argv, __doc__, "--params", "--pipeline", "--out", "--checked")
    settings = params.read(args.params, *PARAMS)
    if faults := planning.faults(settings, args.pipeline, raw.FILES.values()):
        raise params.ParamsError("\n".join(faults))
    for name, _, config in resolved(settings, args.params):
        configs.write(args.out / f"{name}.json", config)
    configs.write_checked(args.checked, settings["corpus"])


if __name__ == "__main__":
    entry.run(main)

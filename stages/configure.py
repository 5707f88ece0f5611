"""Reads params.yaml and dvc.yaml, and stops with an error message if params.yaml is invalid.

Writes one settings file for each system and kind of pretraining, and a file that ingest depends on.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from ifmmin.core import configs, entry
from ifmmin.core.loading import load
from ifmmin.settings import params, preflight, schema

SHARED = ("lambda1", "lambda2", "K", "M")
CHECKED = ("corpus", "folds", "seeds", "rows", "split", "comparison")
PARAMS = (*CHECKED, *SHARED, "systems", "pretrainings", "model", "pretrain", "train")
Config = dict[str, dict[str, Any]]
NOT_FROM_PARAMS = ("condition", "encoders", "n_classes", "sizes")


def accepts(module: ModuleType) -> list[str]:
    """List the parameters that the module's `build` reads from params.yaml.

    They are its arguments without a default, except those set by the corpus and by pretraining.
    """
    parameters = inspect.signature(module.build).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.name not in NOT_FROM_PARAMS]


def system(kind: str, name: str) -> ModuleType:
    """Load a system and check that params.yaml lists it under its kind of pretraining.

    Raises:
        ParamsError: if it is listed under another kind.
    """
    module = load("systems", name)
    expected = module.PRETRAINING or schema.SCRATCH
    if kind != expected:
        raise params.ParamsError(
            f"params.yaml: system {name!r} is listed under systems.{kind}; expected systems.{expected}. "
            "Move it there."
        )
    return module


def resolved(settings: Mapping[str, Any], where: object) -> Iterator[tuple[str, ModuleType, Config]]:
    """Yield name, module and settings of each system and kind of pretraining.

    Args:
        settings: content of params.yaml.
        where: path of params.yaml, for error messages.
    """
    entries = [
        (f"systems.{kind}.{name}", system(kind, name), entry_, "train")
        for kind, group in settings["systems"].items()
        for name, entry_ in group.items()
    ]
    entries += [
        (f"pretrainings.{kind}", load("pretraining", kind), entry_, "pretrain")
        for kind, entry_ in settings["pretrainings"].items()
    ]
    for key, module, own, group in entries:
        followed = settings["pretrainings"].get(getattr(module, "FOLLOWS", None), {})
        config = params.resolve(
            {name: x for name, x in followed.items() if name in (*accepts(module), *settings[group])} | own,
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
    if faults := preflight.faults(settings, args.pipeline):
        raise params.ParamsError("\n".join(faults))
    for name, _, config in resolved(settings, args.params):
        configs.write(args.out / f"{name}.json", config)
    configs.write_checked(args.checked, settings["corpus"])


if __name__ == "__main__":
    entry.run(main)

"""What params.yaml, dvc.yaml and the file system alone tell of a run that cannot end well."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ifmmin.errors import UserError
from ifmmin.params import loader

RULE_FOLDS = range(1, 11)
"""Folds of the rule for IEMOCAP's ten speakers, which the embedded corpus has too."""

PARAMS = ("corpus", "folds", "split")
"""What is looked at here; the rest of params.yaml is checked where it is read."""


def check(
    settings: Mapping[str, Any], pipeline: Path, files: Collection[str], needed: Mapping[Path, str]
) -> None:
    """See that nothing which is known before the first stage runs keeps the stages from running.

    Args:
        settings: as in faults.
        pipeline: as in faults.
        files: as in faults.
        needed: what the stages read and no stage makes: path to the first stage that reads it.

    Raises:
        UserError: with every fault.
    """
    found = faults(settings, pipeline, files)
    found += [
        f"{path}: does not exist, no stage makes it, and {name} needs it. Check params.yaml and dvc.yaml."
        for path, name in needed.items()
        if path != Path(settings["corpus"]) and not path.exists()
    ]
    if found:
        raise UserError("\n".join(found))


def faults(settings: Mapping[str, Any], pipeline: Path, files: Collection[str]) -> list[str]:
    """Say what keeps the corpus and the folds that params.yaml names from being used.

    Args:
        settings: the keys PARAMS.
        pipeline: dvc.yaml. What a stage of it makes need not be there yet.
        files: features that a pack must have, below its folder.

    Returns:
        A sentence for each fault.
    """
    text, corpus = pipeline.read_text("utf-8"), Path(settings["corpus"])
    if "${corpus}" not in text:
        return []
    outs = [out for stage in loader().load(text)["stages"].values() for out in stage.get("outs", [])]
    pack = None if any(corpus == Path(str(out)) for out in outs) else corpus
    found = pack_faults(pack, files) if pack else []
    return found + fold_faults(settings["folds"], settings["split"]["folds_from"], pack)


def pack_faults(pack: Path, files: Collection[str]) -> list[str]:
    """Say what a feature pack lacks, if it is one."""
    where = f"params.yaml, key corpus: {pack}"
    if not pack.exists():
        return [
            f"{where} does not exist; expected a feature pack (docs/bring_your_corpus.md). Check the path."
        ]
    absent = [name for name in (*files, "target") if not (pack / name).exists()]
    if absent:
        return [
            f"{where} has no {', '.join(absent)}; expected a feature pack (docs/bring_your_corpus.md). Check "
            "the path."
        ]
    return []


def fold_faults(folds: Iterable[int], folds_from: str, pack: Path | None) -> list[str]:
    """Say which folds a corpus does not have.

    Args:
        folds: the key folds of params.yaml.
        folds_from: the key split.folds_from.
        pack: folder of the feature pack; None for the embedded corpus.

    Returns:
        A sentence for each fault. Whether a pack has IEMOCAP's ids, and so the folds of the rule, is not
        known here: a fold in doubt is left to the stage split.
    """
    offered = set() if pack and folds_from == "pack" else set(RULE_FOLDS)
    if pack and (pack / "target").is_dir():
        offered |= {int(path.name) for path in (pack / "target").iterdir() if path.name.isdecimal()}
    listed = ", ".join(map(str, sorted(offered)))
    return [
        f"params.yaml, key folds: fold {fold} does not exist; expected some of {listed}."
        for fold in folds
        if fold not in offered
    ]

"""Checks before the first stage runs: missing inputs, incomplete feature packs, folds that do not exist."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ifmmin.core.errors import UserError
from ifmmin.core.terms import PACK_FILES
from ifmmin.settings.params import loader

RULE_FOLDS = range(1, 11)
"""Folds of the speaker split of IEMOCAP (ten speakers); the synthetic corpus has the same folds."""

PARAMS = ("corpus", "folds", "split")
"""Keys of params.yaml that these checks use."""


def check(settings: Mapping[str, Any], pipeline: Path, needed: Mapping[Path, str]) -> None:
    """Check that the stages can run, as far as this is known before the first one starts.

    Args:
        settings: values of the keys PARAMS.
        pipeline: path of dvc.yaml.
        needed: inputs that no stage produces: path to the name of the first stage that reads it.

    Raises:
        UserError: if a check fails; one line per error.
    """
    errors = faults(settings, pipeline)
    errors += [
        f"{path}: does not exist; {name} reads it and no stage produces it. Check params.yaml and dvc.yaml."
        for path, name in needed.items()
        if path != Path(settings["corpus"]) and not path.exists()
    ]
    if errors:
        raise UserError("\n".join(errors))


def faults(settings: Mapping[str, Any], pipeline: Path) -> list[str]:
    """List the errors in the corpus and the folds that params.yaml names.

    Args:
        settings: values of the keys PARAMS.
        pipeline: path of dvc.yaml. A corpus that one of its stages produces need not exist yet.

    Returns:
        One error message per error.
    """
    text, corpus = pipeline.read_text("utf-8"), Path(settings["corpus"])
    if "${corpus}" not in text:
        return []
    outs = [out for stage in loader().load(text)["stages"].values() for out in stage.get("outs", [])]
    pack = None if any(corpus == Path(str(out)) for out in outs) else corpus
    errors = pack_faults(pack) if pack else []
    return errors + fold_faults(settings["folds"], settings["split"]["folds_from"], pack)


def pack_faults(pack: Path) -> list[str]:
    """List the missing files of a feature pack; one error message, or none."""
    where = f"params.yaml, key corpus: {pack}"
    if not pack.exists():
        return [
            f"{where} does not exist; expected a feature pack (docs/bring_your_corpus.md). Check the path."
        ]
    missing = [name for name in (*PACK_FILES.values(), "target") if not (pack / name).exists()]
    if missing:
        return [
            f"{where} has no {', '.join(missing)}; expected a feature pack (docs/bring_your_corpus.md). "
            "Check the path."
        ]
    return []


def fold_faults(folds: Iterable[int], folds_from: str, pack: Path | None) -> list[str]:
    """List the folds that a corpus does not have.

    Args:
        folds: the key folds of params.yaml.
        folds_from: the key split.folds_from.
        pack: folder of the feature pack; None for the synthetic corpus.

    Returns:
        One error message per missing fold. Whether a pack has IEMOCAP's ids, and so its speaker split, is not
        known here; the stage split checks the remaining folds.
    """
    available = set() if pack and folds_from == "pack" else set(RULE_FOLDS)
    if pack and (pack / "target").is_dir():
        available |= {int(path.name) for path in (pack / "target").iterdir() if path.name.isdecimal()}
    listed = ", ".join(map(str, sorted(available)))
    return [
        f"params.yaml, key folds: fold {fold} does not exist; expected folds among {listed}."
        for fold in folds
        if fold not in available
    ]

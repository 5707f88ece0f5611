"""Checks before the first stage runs."""

import pytest

from ifmmin.settings import preflight

FILES = ("A/comparE.h5", "V/denseface.h5", "L/bert_large.h5")
AUTO = {"folds_from": "auto"}


@pytest.fixture
def pipeline(tmp_path):
    """A dvc.yaml with a stage that writes the corpus `made`."""
    path = tmp_path / "dvc.yaml"
    path.write_text(
        "stages:\n  make: {cmd: x, outs: [made]}\n  ingest: {cmd: 'y ${corpus}', deps: ['${corpus}']}\n"
    )
    return path


@pytest.fixture
def pack(tmp_path):
    """A pack with folds 1, 2 and 11."""
    for name in ("A", "V", "L", "target/1", "target/2", "target/11"):
        (tmp_path / "pack" / name).mkdir(parents=True)
    for name in FILES:
        (tmp_path / "pack" / name).touch()
    return tmp_path / "pack"


def test_a_corpus_written_by_a_stage_need_not_exist(pipeline):
    assert preflight.faults({"corpus": "made", "folds": [10], "split": AUTO}, pipeline) == []


def test_a_pipeline_that_reads_no_corpus_needs_none(pipeline):
    pipeline.write_text("stages: {}\n")

    assert preflight.faults({"corpus": "nowhere", "folds": [99], "split": AUTO}, pipeline) == []


def test_a_missing_corpus_and_an_unknown_fold_are_both_reported(pipeline):
    faults = preflight.faults({"corpus": "../nowhere", "folds": [1, 12], "split": AUTO}, pipeline)

    assert [fault.partition(";")[0] for fault in faults] == [
        "params.yaml, key corpus: ../nowhere does not exist",
        "params.yaml, key folds: fold 12 does not exist",
    ]


def test_an_incomplete_pack_is_reported_with_the_missing_file(pack):
    (pack / "V/denseface.h5").unlink()

    [fault] = preflight.pack_faults(pack)

    assert fault.startswith(f"params.yaml, key corpus: {pack} has no V/denseface.h5; expected a feature pack")


@pytest.mark.parametrize(
    ("folds_from", "fold", "exists"),
    [("auto", 3, True), ("auto", 11, True), ("auto", 12, False), ("pack", 2, True), ("pack", 3, False)],
)
def test_folds_come_from_the_target_files_or_the_rule(pack, folds_from, fold, exists):
    assert (preflight.fold_faults([fold], folds_from, pack) == []) is exists

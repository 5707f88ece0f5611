"""What is known before the first stage runs."""

import pytest

from ifmmin.settings import planning

FILES = ("A/comparE.h5", "V/denseface.h5", "L/bert_large.h5")
AUTO = {"folds_from": "auto"}


@pytest.fixture
def pipeline(tmp_path):
    """A dvc.yaml whose stage makes the corpus `made`."""
    path = tmp_path / "dvc.yaml"
    path.write_text(
        "stages:\n  make: {cmd: x, outs: [made]}\n  ingest: {cmd: 'y ${corpus}', deps: ['${corpus}']}\n"
    )
    return path


@pytest.fixture
def pack(tmp_path):
    """A pack of folds 1, 2 and 11."""
    for name in ("A", "V", "L", "target/1", "target/2", "target/11"):
        (tmp_path / "pack" / name).mkdir(parents=True)
    for name in FILES:
        (tmp_path / "pack" / name).touch()
    return tmp_path / "pack"


def test_a_corpus_that_a_stage_makes_need_not_be_there(pipeline):
    assert planning.faults({"corpus": "made", "folds": [10], "split": AUTO}, pipeline) == []


def test_a_pipeline_without_a_corpus_is_not_asked_for_one(pipeline):
    pipeline.write_text("stages: {}\n")

    assert planning.faults({"corpus": "nowhere", "folds": [99], "split": AUTO}, pipeline) == []


def test_a_corpus_that_is_not_there_and_a_fold_beyond_ten_are_both_named(pipeline):
    faults = planning.faults({"corpus": "../nowhere", "folds": [1, 12], "split": AUTO}, pipeline)

    assert [fault.partition(";")[0] for fault in faults] == [
        "params.yaml, key corpus: ../nowhere does not exist",
        "params.yaml, key folds: fold 12 does not exist",
    ]


def test_a_folder_that_is_no_pack_is_named_with_what_it_lacks(pack):
    (pack / "V/denseface.h5").unlink()

    [fault] = planning.pack_faults(pack)

    assert fault.startswith(f"params.yaml, key corpus: {pack} has no V/denseface.h5; expected a feature pack")


@pytest.mark.parametrize(
    ("folds_from", "fold", "exists"),
    [("auto", 3, True), ("auto", 11, True), ("auto", 12, False), ("pack", 2, True), ("pack", 3, False)],
)
def test_folds_are_those_of_the_target_files_or_of_the_rule(pack, folds_from, fold, exists):
    assert (planning.fold_faults([fold], folds_from, pack) == []) is exists

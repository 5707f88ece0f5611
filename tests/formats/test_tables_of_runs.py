"""Features, folds, scalings, configs, weights, histories, predictions, invariants: round trips and rules."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import safetensors
import safetensors.torch
import samples
import torch

from ifmmin.core import configs
from ifmmin.core.files import ArtifactError, write_parquet
from ifmmin.corpus import features, folds, scalings
from ifmmin.evaluation import invariants, predictions
from ifmmin.training import histories, weights


@pytest.fixture
def written(tmp_path):
    samples.write_tables(tmp_path)
    return tmp_path


def refused(path, *parts):
    """Expect an ArtifactError that names the file and each part."""
    pattern = re.escape(str(path)) + "".join(f"(?=[\\s\\S]*{re.escape(part)})" for part in parts)
    return pytest.raises(ArtifactError, match=pattern)


def same(got, expected):
    """Assert equal columns and values; the pandas type of text may differ."""
    assert list(got.columns) == list(expected.columns)
    assert got.to_dict("list") == expected.to_dict("list")


# Features.


def test_features_read_back_the_same(written):
    got = features.read(written / "features")

    same(got.table, samples.INDEX)
    assert got.classes == samples.CLASSES
    for m, size in (("a", 3), ("v", 2), ("t", 1)):
        expected = np.arange(5 * size, dtype=np.float32).reshape(5, size) / 3
        np.testing.assert_array_equal(got.frames[m], expected)
        assert got.frames[m].dtype == np.float32
    same(features.read_pack_folds(written / "features"), samples.PACK_FOLDS)
    assert features.read_corpus(written / "features") == samples.CORPUS


def test_frames_are_memory_mapped_and_changes_do_not_reach_the_file(written):
    frames = features.read_frames(written / "features", "a")
    assert isinstance(frames, np.memmap)

    frames[0, 0] = 99

    assert features.read_frames(written / "features", "a")[0, 0] == 0


def test_an_index_with_an_utterance_twice_is_named(written):
    twice = pd.concat([samples.INDEX, samples.INDEX.iloc[:1]])
    write_parquet(written / "features" / "index.parquet", twice, features.INDEX)

    with refused(written / "features" / "index.parquet", "twice"):
        features.read_index(written / "features")


def test_an_index_with_wrong_columns_is_named(written):
    write_parquet(written / "features" / "index.parquet", samples.FOLD, folds.SCHEMA)

    with refused(written / "features" / "index.parquet", "['utterance_id', 'role']"):
        features.read(written / "features")


@pytest.mark.parametrize(
    ("array", "shown"),
    [(np.zeros((5, 3)), "float64 of shape [5, 3]"), (np.zeros(5, np.float32), "float32 of shape [5]")],
    ids=["double", "vector"],
)
def test_frames_that_are_not_a_float32_table_are_named(written, array, shown):
    np.save(written / "features" / "a.npy", array)

    with refused(written / "features" / "a.npy", shown):
        features.read_frames(written / "features", "a")


@pytest.mark.parametrize("keep", [0, 20, -1])
def test_truncated_frames_are_named(written, keep):
    path = written / "features" / "v.npy"
    path.write_bytes(path.read_bytes()[:keep])

    with refused(path, "not a readable .npy array"):
        features.read_frames(written / "features", "v")


def test_pickled_frames_are_named(written):
    np.save(written / "features" / "t.npy", np.array([{}], dtype=object), allow_pickle=True)

    with refused(written / "features" / "t.npy", "not a readable .npy array"):
        features.read_frames(written / "features", "t")


def test_a_corpus_description_that_is_not_json_is_named(written):
    (written / "features" / "corpus.json").write_text("{", "utf-8")

    with refused(written / "features" / "corpus.json"):
        features.read_corpus(written / "features")


# Folds.


def test_a_fold_reads_back_the_same(written):
    same(folds.read(written / "fold.parquet"), samples.FOLD)


BAD_FOLDS = pytest.mark.parametrize(
    ("column", "values", "shown"),
    [("utterance_id", ["x_1", "x_1", "y_1"], "x_1"), ("role", ["train", "dev", "test"], "dev")],
    ids=["an utterance twice", "an unknown role"],
)


@BAD_FOLDS
def test_a_fold_that_breaks_a_rule_is_not_written(tmp_path, column, values, shown):
    path = tmp_path / "fold.parquet"

    with refused(path, shown):
        folds.write(path, samples.FOLD.assign(**{column: values}))
    assert not path.exists()


@BAD_FOLDS
def test_a_fold_that_breaks_a_rule_is_not_read(tmp_path, column, values, shown):
    path = tmp_path / "fold.parquet"
    write_parquet(path, samples.FOLD.assign(**{column: values}), folds.SCHEMA)

    with refused(path, shown):
        folds.read(path)


def test_all_faults_of_a_fold_are_reported_at_once(tmp_path):
    bad = samples.FOLD.assign(role=["training", "validation", "dev"], utterance_id=["x", "x", "y"])

    with refused(tmp_path / "f", "training", "dev", "x"):
        folds.write(tmp_path / "f", bad)


def test_a_fold_with_an_extra_column_is_not_written(tmp_path):
    with refused(tmp_path / "f", "speaker"):
        folds.write(tmp_path / "f", samples.FOLD.assign(speaker="x"))


# Scalings.


def test_a_scaling_reads_back_the_same_to_the_last_bit(written):
    mean, std = scalings.read(written / "scaling.json")

    np.testing.assert_array_equal(mean, samples.SCALING[0])
    np.testing.assert_array_equal(std, samples.SCALING[1])
    assert mean.dtype == std.dtype == np.float64


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"mean": [1]}',
        '{"mean": [1, 2], "std": [1]}',
        '{"mean": [[1]], "std": [[1]]}',
        '{"mean": [1], "std": [0]}',
        '{"mean": [1], "std": [-1]}',
        '{"mean": [NaN], "std": [1]}',
        '{"mean": [1], "std": [Infinity]}',
        '{"mean": ["x"], "std": [1]}',
    ],
)
def test_a_scaling_that_breaks_a_rule_is_named(tmp_path, content):
    path = tmp_path / "scaling.json"
    path.write_text(content, "utf-8")

    with refused(path, "Rerun split"):
        scalings.read(path)


# Configs.


def test_a_config_reads_back_the_same(written):
    assert configs.read(written / "config.json") == samples.CONFIG


def test_a_config_has_sorted_keys(tmp_path):
    configs.write(tmp_path / "x.json", {"fit": {"b": 1, "a": 2}, "build": {}})
    configs.write(tmp_path / "y.json", {"build": {}, "fit": {"a": 2, "b": 1}})

    assert (tmp_path / "x.json").read_bytes() == (tmp_path / "y.json").read_bytes()


def test_a_config_that_is_not_json_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{", "utf-8")

    with refused(tmp_path / "x.json"):
        configs.read(tmp_path / "x.json")


# Weights.


def test_weights_read_back_the_same_with_their_header(written):
    tensors, header = weights.read(written / "weights.safetensors")

    assert tensors.keys() == samples.TENSORS.keys()
    assert all(torch.equal(tensors[name], samples.TENSORS[name]) for name in tensors)
    assert header == samples.HEADER


def test_the_metadata_of_weights_is_one_key_with_sorted_json(written):
    with safetensors.safe_open(written / "weights.safetensors", framework="pt") as file:
        metadata = file.metadata()

    assert metadata == {"ifmmin": json.dumps(samples.HEADER, sort_keys=True)}


def test_parameters_with_gradient_and_transposed_tensors_are_written(tmp_path):
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()

    weights.write(tmp_path / "w", {"x": x.T}, {})

    assert torch.equal(weights.read(tmp_path / "w")[0]["x"], x.detach().T)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 100], ids=["empty", "text", "huge header"])
def test_a_file_that_is_not_safetensors_is_named(tmp_path, content):
    (tmp_path / "w").write_bytes(content)

    with refused(tmp_path / "w", "not a weights file of this pipeline"):
        weights.read(tmp_path / "w")


def test_truncated_weights_are_named(written):
    path = written / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])

    with refused(path, "not a weights file of this pipeline"):
        weights.read(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"ifmmin": "{"}])
def test_weights_of_another_program_are_named(tmp_path, metadata):
    safetensors.torch.save_file(samples.TENSORS, tmp_path / "w", metadata)

    with refused(tmp_path / "w", "not a weights file of this pipeline"):
        weights.read(tmp_path / "w")


# Histories.


def test_a_history_reads_back_the_same(written):
    same(histories.read(written / "history.csv"), samples.HISTORY)


def test_numbers_of_a_history_read_back_to_the_last_bit(tmp_path):
    draw = np.random.default_rng(0)
    history = pd.concat([samples.HISTORY.iloc[:1]] * 500, ignore_index=True)
    history["L"] = draw.standard_normal(500) * 10.0 ** draw.integers(-8, 8, 500)
    history.loc[0, "chosen"] = 1

    histories.write(tmp_path / "h.csv", history)

    np.testing.assert_array_equal(histories.read(tmp_path / "h.csv")["L"], history["L"])


@pytest.mark.parametrize("name", ["epoch", "chosen", "lr", "L", "validation_wa", "validation_ua"])
def test_a_history_without_a_column_is_named(tmp_path, name):
    with refused(tmp_path / "h.csv", f"'{name}' is missing"):
        histories.write(tmp_path / "h.csv", samples.HISTORY.drop(columns=name))


@pytest.mark.parametrize(("chosen", "n"), [([0, 0], 0), ([1, 1], 2)])
def test_a_history_without_exactly_one_chosen_epoch_is_named(tmp_path, chosen, n):
    path = tmp_path / "h.csv"
    samples.HISTORY.assign(chosen=chosen).to_csv(path, index=False)

    with refused(path, f"{n} epochs"):
        histories.read(path)


def two_network_history(a, vt):
    """The history of a system with one network per condition; `chosen` columns for a and vt."""
    return samples.HISTORY.drop(columns="chosen").assign(chosen_a=a, chosen_vt=vt)


def test_a_history_of_several_networks_reads_back_the_same(tmp_path):
    """The networks have chosen different epochs."""
    histories.write(tmp_path / "h.csv", two_network_history([0, 1], [1, 0]))

    same(histories.read(tmp_path / "h.csv"), two_network_history([0, 1], [1, 0]))


@pytest.mark.parametrize(("chosen", "n"), [([0, 0], 0), ([1, 1], 2)])
def test_every_network_of_a_history_needs_exactly_one_chosen_epoch(tmp_path, chosen, n):
    with refused(tmp_path / "h.csv", f"{n} epochs are marked chosen_vt; expected one."):
        histories.write(tmp_path / "h.csv", two_network_history([0, 1], chosen))


# Predictions.


def test_predictions_read_back_the_same_with_classes_and_run(written):
    table, classes, run = predictions.read(written / "predictions.parquet")

    same(table, samples.PREDICTIONS)
    assert classes == samples.CLASSES
    assert run == samples.RUN


def test_predictions_of_classes_with_spaces_read_back(tmp_path):
    table = samples.PREDICTIONS.rename(columns={"logit_sad": "logit_not sad"})

    predictions.write(tmp_path / "p", table, ["angry", "not sad"], {})

    assert predictions.read(tmp_path / "p")[1] == ["angry", "not sad"]


BAD_PREDICTIONS = pytest.mark.parametrize(
    ("column", "values", "shown"),
    [
        ("condition", ["a", "a", "ta"], "ta"),
        ("condition", ["a", "a", "a"], "x_1"),
        ("label", [1, 2, 1], "2"),
        ("label", [1, -1, 1], "-1"),
        ("predicted", [0, 0, 2], "2"),
        ("predicted", [1, 0, 1], "predicted is not the class of the largest logit"),
        ("logit_sad", np.array([-0.1, 2.25, np.inf], np.float32), "inf"),
        ("logit_sad", np.array([-0.1, np.nan, 1], np.float32), "nan"),
    ],
    ids=[
        "condition",
        "key twice",
        "label",
        "negative label",
        "predicted",
        "not the largest",
        "infinite",
        "nan",
    ],
)


@BAD_PREDICTIONS
def test_predictions_that_break_a_rule_are_not_written(tmp_path, column, values, shown):
    path = tmp_path / "p.parquet"

    with refused(path, shown):
        predictions.write(path, samples.PREDICTIONS.assign(**{column: values}), samples.CLASSES, {})
    assert not path.exists()


@BAD_PREDICTIONS
def test_predictions_that_break_a_rule_are_not_read(written, column, values, shown):
    path = written / "predictions.parquet"
    frame = samples.PREDICTIONS.assign(**{column: values})
    write_parquet(path, frame, predictions._schema(samples.CLASSES))

    with refused(path, shown):
        predictions.read(path)


def test_predictions_with_wrong_columns_are_named(tmp_path):
    path = tmp_path / "p.parquet"
    write_parquet(path, samples.FOLD, folds.SCHEMA)

    with refused(path, "['utterance_id', 'role']"):
        predictions.read(path)


@pytest.mark.parametrize("content", [b"", b"no parquet"])
def test_predictions_that_are_not_parquet_are_named(tmp_path, content):
    path = tmp_path / "p.parquet"
    path.write_bytes(content)

    with refused(path, "not a readable parquet file"):
        predictions.read(path)


def test_missing_predictions_raise_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"p\.parquet"):
        predictions.read(tmp_path / "p.parquet")


# Invariants.


def test_invariant_features_read_back_the_same(written):
    keys, values = invariants.read(written / "invariants.parquet")

    same(keys, samples.KEYS)
    np.testing.assert_array_equal(values, samples.H_PRIME)
    assert values.dtype == np.float32


def test_a_system_without_invariant_features_has_no_rows(tmp_path):
    invariants.write(tmp_path / "i", samples.KEYS.iloc[:0], np.empty((0, 0), np.float32))

    keys, values = invariants.read(tmp_path / "i")

    assert len(keys) == len(values) == 0


def test_invariant_features_must_have_as_many_rows_as_keys(tmp_path):
    with pytest.raises(ValueError, match="3"):
        invariants.write(tmp_path / "i", samples.KEYS, samples.H_PRIME[:2])
    assert not (tmp_path / "i").exists()


def test_invariant_features_with_wrong_columns_are_named(written):
    with refused(written / "fold.parquet", "H_prime"):
        invariants.read(written / "fold.parquet")


def test_only_the_requested_runs_are_read(tmp_path):
    for name in ("1-0", "1-1"):
        predictions.write(
            tmp_path / "x" / f"{name}.parquet", samples.PREDICTIONS, samples.CLASSES, {"seed": int(name[-1])}
        )

    tables, records = predictions.read_all(tmp_path, [("x", 1, 1)])

    assert list(tables) == [("x", 1, 1)]
    pd.testing.assert_frame_equal(tables["x", 1, 1], samples.PREDICTIONS)
    assert records == {("x", 1, 1): {"seed": 1}}

"""Overlays on params.yaml."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from ifmmin.settings import params, presets
from ifmmin.settings.params import ParamsError


@pytest.fixture
def copy(tmp_path):
    """A copy of the repository's params.yaml."""
    return shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")


@pytest.fixture
def overlay(tmp_path):
    path = tmp_path / "overlay.yaml"

    def write(text):
        path.write_text(text, "utf-8")
        return path

    return write


CHANGES = (
    "folds: [3, 4, 5]\nlambda2: 12.5\nmodel:\n  hidden: 9\n  cascade: first\n  missing_steps:\n    a: 77\n"
)


def test_an_overlay_changes_only_its_own_values(copy, overlay, settings):
    settings["folds"], settings["lambda2"] = [3, 4, 5], 12.5
    settings["model"] |= {"hidden": 9, "cascade": "first"}
    settings["model"]["missing_steps"]["a"] = 77

    presets.apply(copy, overlay(CHANGES))

    assert yaml.safe_load(copy.read_text("utf-8")) == settings


def test_an_overlay_keeps_comments_and_the_order_of_keys(copy, overlay):
    def comments(text):
        return re.findall(r"# .*", text)

    before = copy.read_text("utf-8")

    presets.apply(copy, overlay(CHANGES))

    after = copy.read_text("utf-8")
    assert comments(after) == comments(before)
    assert list(yaml.safe_load(after)) == list(yaml.safe_load(before))


def test_an_overlay_leaves_all_other_lines_unchanged(copy, overlay):
    before = copy.read_text("utf-8").splitlines()

    presets.apply(copy, overlay("lambda2: 12.5\n"))

    after = copy.read_text("utf-8").splitlines()
    different = [line for line, old in zip(after, before, strict=True) if line != old]
    assert len(different) == 1
    assert different[0].startswith("lambda2: 12.5")


def test_applying_an_overlay_twice_equals_applying_it_once(copy, overlay):
    presets.apply(copy, overlay(CHANGES))
    once = copy.read_bytes()

    presets.apply(copy, overlay(CHANGES))

    assert copy.read_bytes() == once


def test_restoring_the_old_values_restores_the_same_bytes(copy, overlay, settings):
    back = {
        "folds": settings["folds"],
        "lambda2": settings["lambda2"],
        "model": {key: settings["model"][key] for key in ("hidden", "cascade", "missing_steps")},
    }
    before = copy.read_bytes()
    presets.apply(copy, overlay(CHANGES))

    presets.apply(copy, overlay(yaml.safe_dump(back)))

    assert copy.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "key"),
    [("lamda2: 3\n", "lamda2"), ("lambda2: 3\nmodel:\n  hiden: 3\n", "model.hiden")],
    ids=["top level", "inside a group"],
)
def test_an_unknown_key_is_refused_and_nothing_changes(copy, overlay, text, key):
    before = copy.read_bytes()

    with pytest.raises(ParamsError, match=re.escape(f"key {key} is not in params.yaml")):
        presets.apply(copy, overlay(text))

    assert copy.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    ["lambda2: {a: 1}\n", "lambda2: [1]\n", "model: 3\n", "folds: {a: 1}\n"],
    ids=["group for a number", "list for a number", "number for a group", "group for a list"],
)
def test_a_value_of_another_type_is_refused_and_nothing_changes(copy, overlay, text):
    before = copy.read_bytes()

    with pytest.raises(ParamsError, match=text.partition(":")[0]):
        presets.apply(copy, overlay(text))

    assert copy.read_bytes() == before


def test_apply_returns_the_number_of_changes_and_the_untouched_keys(copy, overlay, settings):
    new = {"lambda2": settings["lambda2"] + 1, "lambda1": settings["lambda1"], "train": {"lr": 0.5}}

    changed, untouched = presets.apply(copy, overlay(yaml.safe_dump(new)))

    assert changed == 2
    assert untouched[0] == f"corpus ({settings['corpus']})"
    assert "folds" in untouched
    assert untouched[-1] == "other keys of train"
    assert not {"lambda1", "lambda2", "train"} & {name.split()[0] for name in untouched}


def test_an_empty_overlay_changes_nothing(copy, overlay):
    before = copy.read_bytes()

    presets.apply(copy, overlay("# nothing\n"))

    assert copy.read_bytes() == before


def test_a_shorter_list_keeps_the_comment_after_it(copy, overlay):
    before = copy.read_text("utf-8")

    presets.apply(copy, overlay("folds: [7]\n"))

    assert copy.read_text("utf-8") == before.replace("folds:\n  - 1\n  - 2\n", "folds:\n  - 7\n")


def test_a_value_out_of_range_is_refused_and_nothing_changes(copy, overlay):
    before = copy.read_text("utf-8")

    with pytest.raises(params.ParamsError, match=r"train\.lr is -1"):
        presets.apply(copy, overlay("train:\n  lr: -1\n"))

    assert copy.read_text("utf-8") == before


@pytest.mark.parametrize("preset", sorted(ROOT.glob("presets/*.yaml")), ids=lambda path: path.stem)
def test_every_committed_preset_gives_valid_parameters(copy, preset):
    presets.apply(copy, preset)

    params.read(copy)


@pytest.mark.parametrize("name", ["demonstration", "alive", "paper", "paper_literal", "released_code"])
def test_a_preset_is_recognised(copy, name):
    folder = ROOT / "presets"
    presets.apply(Path(copy), folder / f"{name}.yaml")

    assert presets.describe(yaml.safe_load(Path(copy).read_text("utf-8")), folder) == name


def test_differences_from_the_nearest_preset_are_named(settings):
    settings["folds"] = [1, 2, 3]
    settings["train"]["lr"] = 0.5
    settings["lambda2"] = 3

    assert (
        presets.describe(settings, ROOT / "presets") == "demonstration, except for folds, lambda2, train.lr"
    )


def test_short_presets_are_not_preferred_and_empty_ones_are_ignored(settings, tmp_path):
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    (tmp_path / "presets/mine.yaml").write_text("lambda2: 10\n", "utf-8")
    (tmp_path / "presets/nothing.yaml").write_text("# later\n", "utf-8")
    settings["folds"], settings["train"]["lr"] = [1, 2, 3], 0.5

    assert presets.describe(settings, tmp_path / "presets") == "demonstration, except for folds, train.lr"
    assert presets.describe(settings, tmp_path) == "none"
    (tmp_path / "presets/mine.yaml").write_text("a: [", "utf-8")
    with pytest.raises(ParamsError, match=r"mine\.yaml: not readable as YAML"):
        presets.describe(settings, tmp_path / "presets")

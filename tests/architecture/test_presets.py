"""Presets are overlays of one shape; the committed params.yaml is one of them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from architecture.project import ROOT, params
from ifmmin.settings import params as schema
from ifmmin.settings import presets

NAMES = ("demonstration", "paper", "paper_literal", "released_code")


def leaves(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Dotted keys down to values; a list is a value, an empty mapping too."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inside = isinstance(value, dict) and value
        found |= leaves(value, f"{above}{key}.") if inside else {f"{above}{key}": value}
    return found


def preset(name: str) -> dict[str, Any]:
    return leaves(yaml.safe_load((ROOT / "presets" / f"{name}.yaml").read_text("utf-8")))


def applied(names: list[str], folder: Path) -> Path:
    """A copy of params.yaml with presets laid over it, one after the other."""
    copy = Path(shutil.copy(ROOT / "params.yaml", folder))
    for name in names:
        presets.apply(copy, ROOT / "presets" / f"{name}.yaml")
    return copy


def test_the_presets_are_four():
    assert sorted(path.name for path in (ROOT / "presets").iterdir()) == [f"{name}.yaml" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_keys_of_the_preset_stand_in_params_yaml(name):
    assert sorted(set(preset(name)) - set(leaves(params()))) == []


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_preset_sets_what_the_demonstration_sets(name):
    """Or a preset would leave behind what the one before it has set."""
    assert sorted(preset(name)) == sorted(preset("demonstration"))


def test_params_yaml_is_the_demonstration():
    values = leaves(params())

    assert {key: values.get(key) for key in preset("demonstration")} == preset("demonstration")


@pytest.mark.parametrize("name", NAMES)
def test_params_with_the_preset_are_accepted(name, tmp_path):
    path = applied([name], tmp_path)

    read = schema.read(path, *params())

    assert {key: leaves(read)[key] for key in preset(name)} == preset(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_demonstration_after_the_preset_gives_params_yaml_back(name, tmp_path):
    """To the byte, comments included: the demonstration is committed, and so is its dvc.lock."""
    path = applied([name, "demonstration"], tmp_path)

    assert path.read_text("utf-8") == (ROOT / "params.yaml").read_text("utf-8")

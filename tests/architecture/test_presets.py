"""All presets set the same keys, and the committed params.yaml is the demonstration."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from architecture.project import ROOT, params
from ifmmin.settings import params as schema
from ifmmin.settings import presets

NAMES = ("demonstration", "alive", "paper", "paper_literal", "released_code")


def leaves(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Dotted key to value; lists and empty mappings are values."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        inside = isinstance(value, dict) and value
        result |= leaves(value, f"{above}{key}.") if inside else {f"{above}{key}": value}
    return result


def preset(name: str) -> dict[str, Any]:
    return leaves(yaml.safe_load((ROOT / "presets" / f"{name}.yaml").read_text("utf-8")))


def applied(names: list[str], folder: Path) -> Path:
    """A copy of params.yaml to which presets are applied in order."""
    copy = Path(shutil.copy(ROOT / "params.yaml", folder))
    for name in names:
        presets.apply(copy, ROOT / "presets" / f"{name}.yaml")
    return copy


def test_there_are_five_presets():
    assert {path.stem for path in (ROOT / "presets").iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_keys_of_a_preset_are_in_params_yaml(name):
    assert sorted(set(preset(name)) - set(leaves(params()))) == []


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_preset_sets_the_same_keys_as_the_demonstration(name):
    """Otherwise values of a previous preset would remain."""
    assert sorted(preset(name)) == sorted(preset("demonstration"))


def test_params_yaml_is_the_demonstration():
    values = leaves(params())

    assert {key: values.get(key) for key in preset("demonstration")} == preset("demonstration")


@pytest.mark.parametrize("name", NAMES)
def test_params_with_a_preset_are_accepted(name, tmp_path):
    path = applied([name], tmp_path)

    read = schema.read(path, *params())

    assert {key: leaves(read)[key] for key in preset(name)} == preset(name)


@pytest.mark.parametrize("name", NAMES)
def test_applying_the_demonstration_after_a_preset_restores_params_yaml(name, tmp_path):
    """Byte by byte, with comments: the demonstration and its dvc.lock are committed."""
    path = applied([name, "demonstration"], tmp_path)

    assert path.read_text("utf-8") == (ROOT / "params.yaml").read_text("utf-8")

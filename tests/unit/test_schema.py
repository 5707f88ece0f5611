"""params.schema.json (for completion in editors) agrees with the pipeline's checks."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from ifmmin.settings import params, schema
from ifmmin.settings.params import ParamsError

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "params.schema.json"


@pytest.fixture(scope="module")
def accepts():
    schema = json.loads(COMMITTED.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid


def test_the_committed_schema_is_up_to_date():
    assert json.loads(COMMITTED.read_text("utf-8")) == schema.json_schema()


def test_params_yaml_names_the_schema_and_fits_it(accepts):
    text = (ROOT / "params.yaml").read_text("utf-8")

    assert text.startswith(f"# yaml-language-server: $schema={COMMITTED.name}\n")
    assert accepts(yaml.safe_load(text))


@pytest.mark.parametrize(
    "changes",
    [
        {"lamda2": 3},
        {"lambda1": -1},
        {"lambda2": "100"},
        {"K": 0},
        {"K": 2.5},
        {"M": True},
        {"folds": []},
        {"folds": [1, 1]},
        {"seeds": [-1]},
        {"corpus": ""},
        {"rows": ["If_mmin"]},
        {"split": {"folds_from": "files"}},
        {"split": {}},
        {"systems": {"Bad-Group": {}}},
        {"systems": {"invariant": {"Bad-Name": {}}}},
        {"pretrain": {"lr": 0.1}},
        {"systems": {"invariant": {"if_mmin": {"hidden": 0}}}},
        {"systems": {"invariant": {"if_mmin": {"missing_steps": {"a": 1}}}}},
    ],
    ids=str,
)
def test_the_pipeline_refuses_what_the_schema_refuses(accepts, settings, write_params, changes):
    """Values of an entry are only checked once its build is known, hence `resolved`."""
    path = write_params(**changes)

    assert not accepts({**settings, **changes})
    with pytest.raises(ParamsError):
        resolved(path)


def resolved(path):
    entry = params.read(path, "systems")["systems"]["invariant"]["if_mmin"]
    return params.resolve(entry, accepts=("hidden",), shared={}, model={}, fit={}, where="if_mmin")


def test_the_schema_accepts_a_key_that_only_a_new_system_reads(accepts, settings):
    settings["systems"]["invariant"]["mine"] = {"temperature": 2.0}

    assert accepts(settings)

"""The schema of params.yaml."""

import json
import re
from pathlib import Path

import pytest

from ifmmin.settings import params
from ifmmin.settings.params import ParamsError
from stages import configure

ROOT = Path(__file__).resolve().parents[2]


def faults(path):
    with pytest.raises(ParamsError, match=re.escape(str(path))) as caught:
        params.read(path, "folds")
    return str(caught.value).splitlines()


def test_read_returns_only_the_requested_keys(write_params):
    path = write_params(lambda2=7.5, folds=[2, 1])

    assert params.read(path, "lambda2", "folds") == {"lambda2": 7.5, "folds": [2, 1]}


def test_read_returns_a_key_inside_a_group(write_params, settings):
    path = write_params()

    assert params.read(path, "figures.system") == {"figures.system": settings["figures"]["system"]}


def test_groups_are_plain_dicts(write_params, settings):
    assert params.read(write_params(), "model") == {"model": settings["model"]}


def test_an_unknown_key_is_named(write_params):
    lines = faults(write_params(lamda2=3))

    assert len(lines) == 1
    assert "key lamda2" in lines[0]
    assert "not a known key" in lines[0]


def test_an_unknown_key_of_a_group_is_named_with_its_group(write_params, settings):
    lines = faults(write_params(model={**settings["model"], "hiden": 3}))

    assert len(lines) == 1
    assert "model.hiden" in lines[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lamda2": 3}, "key lamda2: is not a known key; did you mean lambda2?"),
        ({"seed": [0]}, "key seed: is not a known key; did you mean seeds?"),
        ({"hidden": 64}, "key hidden: is not a known key; did you mean model.hidden?"),
        (
            {"split": {"folds_form": "rule"}},
            "key split.folds_form: is not a known key; did you mean folds_from?",
        ),
        ({"split": {"xyz": 1}}, "key split.xyz: is not a known key; expected one of folds_from."),
        ({"lr": 0.1}, "key lr: is not a known key; did you mean pretrain.lr or train.lr?"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_nearest_key_is_suggested(write_params, changes, message):
    """A similar key of the same group if there is one, else the same key of another group."""
    assert any(line.endswith(message) for line in faults(write_params(**changes)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lambda1": -1}, "key lambda1 is -1; expected at least 0.0."),
        ({"lambda2": "100"}, "key lambda2 is '100'; expected a number."),
        ({"lambda2": float("nan")}, "key lambda2 is nan; expected a finite number."),
        ({"K": 2.5}, "key K is 2.5; expected a whole number."),
        ({"M": "5"}, "key M is '5'; expected a whole number."),
        ({"folds": []}, "key folds is []; expected at least 1 items."),
        ({"folds": 1}, "key folds is 1; expected a list."),
        ({"folds": [1, 1]}, "key folds is [1, 1]; 1 is listed twice."),
        ({"seeds": [2**63]}, f"key seeds.0 is {2**63}; expected less than {2**63}."),
        ({"corpus": 3}, "key corpus is 3; expected text."),
        ({"model": 3}, "key model is 3; expected a group of keys."),
        ({"systems": 3}, "key systems is 3; expected a group of keys."),
        ({"split": {"folds_from": "file"}}, "is 'file'; expected 'rule', 'pack' or 'auto'."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_invalid_value_gives_an_error_with_the_expected_range(write_params, changes, message):
    assert any(line.endswith(message) for line in faults(write_params(**changes)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("transition", "no", "expected true or false."),
        ("dropout", 1, "expected less than 1.0."),
        ("kernel_heights", [0], "expected at least 1."),
    ],
)
def test_an_invalid_value_in_a_group_gives_an_error_with_the_range(
    write_params, settings, key, value, message
):
    [line] = faults(write_params(model={**settings["model"], key: value}))

    assert f"model.{key}" in line
    assert line.endswith(message)


def test_a_missing_key_is_named(write_params, settings):
    del settings["model"]["hidden"]

    lines = faults(write_params())

    assert len(lines) == 1
    assert "model.hidden" in lines[0]
    assert "missing" in lines[0]


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        (None, "lambda1", -1),
        (None, "lambda2", float("nan")),
        (None, "lambda2", "100"),
        (None, "K", 0),
        (None, "M", 2.5),
        (None, "folds", []),
        (None, "folds", [0]),
        (None, "folds", [1, 1]),
        (None, "folds", 1),
        (None, "seeds", [-1]),
        (None, "seeds", [True]),
        (None, "corpus", ""),
        ("model", "hidden", 0),
        ("model", "dropout", 1),
        ("model", "cascade", "all"),
        ("model", "kernel_heights", [3, 3]),
        ("model", "transition", "no"),
        ("train", "batch", 1),
        ("train", "lr", 0),
        ("train", "on_collapse", "ignore"),
        ("pretrain", "beta1", 1.0),
        ("split", "folds_from", "files"),
        ("synthesize", "utterances_per_speaker", 7),
        ("comparison", "on_par", -0.01),
        ("comparison", "on_par", float("inf")),
        ("figures", "perplexity", -3),
    ],
)
def test_an_invalid_value_is_named_with_its_key(write_params, settings, group, key, value):
    changes = {key: value} if group is None else {group: {**settings[group], key: value}}

    lines = faults(write_params(**changes))

    assert any((f"{group}.{key}" if group else key) in line for line in lines), lines
    assert all(f"{key}" in line for line in lines), lines


def test_all_errors_in_the_file_are_reported_at_once(write_params, settings):
    lines = faults(
        write_params(lamda2=3, K=0, model={**settings["model"], "hidden": -1}, split={"folds_from": "files"})
    )

    assert len(lines) == 4, lines
    for key in ("lamda2", "K is 0", "model.hidden is -1", "split.folds_from is 'files'"):
        assert any(key in line for line in lines), (key, lines)


def test_an_unknown_system_in_rows_is_named(write_params, settings):
    lines = faults(write_params(rows=[*settings["rows"], "transformer"]))

    assert len(lines) == 1
    assert "'transformer'" in lines[0]


def test_a_duplicate_in_rows_is_named(write_params, settings):
    lines = faults(write_params(rows=[*settings["rows"], settings["rows"][0]]))

    assert len(lines) == 1
    assert f"'{settings['rows'][0]}' is listed twice" in lines[0]


def test_a_system_in_two_groups_is_named(write_params, settings):
    fusion = {**settings["systems"]["fusion"], "if_mmin": {}}

    lines = faults(write_params(systems={**settings["systems"], "fusion": fusion}))

    assert len(lines) == 1
    assert "'if_mmin'" in lines[0]


def test_a_group_of_systems_without_its_pretraining_is_named(write_params, settings):
    lines = faults(write_params(systems={**settings["systems"], "contrastive": {"x": {}}}))

    assert len(lines) == 1
    assert "systems.contrastive" in lines[0]
    assert "expected one of invariant, no_cmd, fusion, scratch." in lines[0]


def test_systems_without_pretrained_encoders_need_no_pretraining(write_params, settings):
    path = write_params(
        systems={"scratch": {"new": {}}, "invariant": settings["systems"]["invariant"]},
        pretrainings={"invariant": settings["pretrainings"]["invariant"]},
        rows=["if_mmin", "new"],
        comparison={**settings["comparison"], "baselines": ["new"]},
    )

    assert params.read(path, "rows") == {"rows": ["if_mmin", "new"]}


@pytest.mark.parametrize(
    ("part", "value", "name"),
    [
        ("proposed", "mmin", "mmin"),
        ("ablations", ["if_mmin_no_inv", "mctn"], "mctn"),
        ("baselines", ["mmin", "if_mmin"], "if_mmin"),
    ],
)
def test_a_system_twice_in_the_comparison_is_named(write_params, settings, part, value, name):
    lines = faults(write_params(comparison={**settings["comparison"], part: value}))

    assert len(lines) == 1, lines
    assert f"key comparison: system {name!r} is listed twice" in lines[0]


@pytest.mark.parametrize(
    ("part", "value"),
    [("proposed", "transformer"), ("baselines", ["mmin", "transformer"]), ("ablations", ["transformer"])],
)
def test_an_undefined_system_in_the_comparison_is_named(write_params, settings, part, value):
    lines = faults(write_params(comparison={**settings["comparison"], part: value}))

    assert len(lines) == 1, lines
    assert "key comparison: system 'transformer' is not defined under systems" in lines[0]


def test_a_duplicate_baseline_is_named(write_params, settings):
    lines = faults(write_params(comparison={**settings["comparison"], "baselines": ["mmin", "mmin"]}))

    assert len(lines) == 1, lines
    assert "comparison.baselines" in lines[0]
    assert "'mmin' is listed twice" in lines[0]


def test_a_compared_system_need_not_be_in_rows(write_params):
    assert params.read(write_params(rows=["if_mmin"]), "rows") == {"rows": ["if_mmin"]}


def test_a_minimum_length_above_the_maximum_is_named(write_params, settings):
    frames = {**settings["synthesize"]["frames"], "a": [9, 3]}

    lines = faults(write_params(synthesize={**settings["synthesize"], "frames": frames}))

    assert len(lines) == 1
    assert "synthesize.frames.a" in lines[0]
    assert "9" in lines[0]


def test_a_number_with_an_exponent_is_read_as_a_number(tmp_path):
    """`dvc exp run -S train.lr=1e-4` writes this form, which YAML 1.1 reads as text."""
    text = (ROOT / "params.yaml").read_text("utf-8").replace("lr: 0.001 ", "lr: 1e-4 ")
    (tmp_path / "params.yaml").write_text(text, "utf-8")

    assert params.read(tmp_path / "params.yaml", "train.lr") == {"train.lr": 1e-4}


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "params.yaml").write_text("", "utf-8")

    with pytest.raises(params.ParamsError, match="holds no keys"):
        params.read(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["a: [1,", "- 1\n- 2\n", "", "just words"])
def test_a_file_without_a_mapping_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, "utf-8")

    assert faults(path)


def test_a_stage_exits_with_1_and_one_line_for_each_error(write_params, stage, settings):
    path = write_params(lamda2=3, K=0)

    done = stage("configure", *configured(path, "configs"))

    assert done.code == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr


def configured(path, out):
    """Arguments for configure."""
    out = Path(out)
    checked = ["--pipeline", str(ROOT / "dvc.yaml"), "--checked", str(out.with_name("checked.json"))]
    return ["--params", str(path), "--out", str(out), *checked]


# Resolved settings of a system.


@pytest.fixture
def resolve(settings):
    def resolved(entry, accepts=("lambda2", "hidden", "dropout")):
        return params.resolve(
            entry,
            accepts=accepts,
            shared={key: settings[key] for key in ("lambda1", "lambda2", "K", "M")},
            model=settings["model"],
            fit=settings["train"],
            where="params.yaml, key systems.invariant.x",
        )

    return resolved


def test_a_config_holds_only_the_arguments_of_build(resolve, settings):
    config = resolve({})

    assert config == {
        "build": {
            "lambda2": settings["lambda2"],
            "hidden": settings["model"]["hidden"],
            "dropout": settings["model"]["dropout"],
        },
        "fit": settings["train"],
    }


def test_an_entry_overrides_shared_values_model_and_fit(resolve):
    config = resolve({"lambda2": 3, "hidden": 7, "lr": 0.5})

    assert config["build"]["lambda2"] == 3
    assert config["build"]["hidden"] == 7
    assert config["fit"]["lr"] == 0.5


def test_an_entry_may_set_a_value_that_has_no_shared_default(resolve):
    assert resolve({"cmd_weight": 0.5}, accepts=("cmd_weight",))["build"] == {"cmd_weight": 0.5}


def test_an_unused_key_of_an_entry_is_refused(resolve):
    with pytest.raises(ParamsError, match=r"systems\.invariant\.x: key 'lamda2' is not used"):
        resolve({"lamda2": 3})


def test_an_unused_key_gives_the_nearest_argument_of_build(resolve):
    with pytest.raises(ParamsError, match="did you mean lambda2"):
        resolve({"lamda2": 3})


def test_a_model_key_that_build_does_not_accept_is_refused(resolve):
    with pytest.raises(ParamsError, match="key 'filters' is not used"):
        resolve({"filters": 3})


def test_a_value_that_is_set_nowhere_is_named(resolve):
    with pytest.raises(ParamsError, match="key 'cmd_weight' is missing"):
        resolve({}, accepts=("cmd_weight",))


@pytest.mark.parametrize(
    ("entry", "shown"),
    [({"hidden": 0}, "hidden is 0"), ({"lr": -1}, "lr is -1"), ({"batch": 1}, "batch is 1")],
)
def test_an_invalid_value_of_an_entry_is_named(resolve, entry, shown):
    with pytest.raises(ParamsError, match=shown):
        resolve(entry)


@pytest.mark.parametrize("entry", [{"lambda2": -1}, {"lambda2": "much"}, {"M": 0}, {"K": 1.5}])
def test_an_entry_s_value_of_a_shared_key_has_the_same_range(resolve, entry):
    with pytest.raises(ParamsError, match=next(iter(entry))):
        resolve(entry, accepts=("lambda2", "M", "K"))


@pytest.mark.parametrize(
    "entry",
    [
        {"img_weight": -1},
        {"cycle_weight": "twice"},
        {"cycle_weight": float("nan")},
        {"steps": 0},
        {"steps": 2.5},
        {"translation_weight": -0.1},
    ],
    ids=str,
)
def test_a_value_set_only_in_an_entry_has_a_range_too(resolve, entry):
    with pytest.raises(ParamsError, match=f"key {next(iter(entry))} is "):
        resolve(entry, accepts=("img_weight", "cycle_weight", "steps", "translation_weight"))


@pytest.mark.parametrize(
    "changes", [{"cmd_weight": -1}, {"cmd_weight": "small"}, {"cmd_warmup": -2}, {"cmd_warmup": "long"}]
)
def test_an_invalid_value_of_a_pretraining_is_named(settings, write_params, tmp_path, changes):
    invariant = {**settings["pretrainings"]["invariant"], **changes}
    path = write_params(pretrainings={**settings["pretrainings"], "invariant": invariant})

    with pytest.raises(ParamsError, match=next(iter(changes))):
        configure.main(configured(path, tmp_path / "configs"))


def test_configure_writes_the_settings_of_each_system_and_pretraining(settings, write_params, tmp_path):
    """if_mmin_no_inv sets lambda2 in its own file and does not read it from params.yaml."""
    out = tmp_path / "configs"

    configure.main(configured(write_params(), out))

    systems = {name for group in settings["systems"].values() for name in group}
    assert {path.stem for path in out.iterdir()} == systems | set(settings["pretrainings"])
    builds = {path.stem: json.loads(path.read_text("utf-8"))["build"] for path in out.iterdir()}
    assert builds["if_mmin"]["lambda2"] == settings["lambda2"]
    assert "lambda2" not in builds["if_mmin_no_inv"]
    assert "cascade" not in builds["if_mmin_no_cascade"]
    assert "lambda2" not in builds["invariant"]


def test_configs_of_scratch_systems_have_no_condition_and_no_sizes(settings, write_params, tmp_path):
    """Each network has its own condition, and sizes come from the corpus."""
    configure.main(configured(write_params(), tmp_path / "configs"))

    builds = {
        path.stem: json.loads(path.read_text("utf-8"))["build"] for path in (tmp_path / "configs").iterdir()
    }
    encoders = {"hidden", "kernel_heights", "filters", "text_dropout", "missing_steps"}
    head = {"classifier", "dropout"}
    assert builds["mctn"].keys() == {"hidden", "steps", "translation_weight"} | head
    assert builds["late_fusion_floor"].keys() == encoders | head
    assert builds["late_fusion_per_condition"].keys() == encoders | head
    assert builds["mctn"]["steps"] == settings["systems"]["scratch"]["mctn"]["steps"]


def test_configure_gives_mmin_a_cycle_and_its_ablation_none(settings, write_params, tmp_path):
    configure.main(configured(write_params(), tmp_path / "configs"))

    mmin, no_cycle = (
        json.loads((tmp_path / "configs" / f"{name}.json").read_text("utf-8"))["build"]
        for name in ("mmin", "mmin_no_cycle")
    )
    assert mmin["cycle_weight"] == settings["systems"]["fusion"]["mmin"]["cycle_weight"]
    assert mmin.keys() - no_cycle.keys() == {"cycle_weight"}


@pytest.mark.parametrize(
    ("kind", "name"), [("scratch", "mctn"), ("fusion", "mmin"), ("invariant", "if_mmin")]
)
def test_a_system_in_its_own_group_is_loaded(kind, name):
    assert configure.system(kind, name).__name__ == f"ifmmin.systems.{name}"


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("invariant", "mctn", "scratch"),
        ("fusion", "late_fusion_floor", "scratch"),
        ("scratch", "if_mmin", "invariant"),
        ("invariant", "mmin", "fusion"),
    ],
)
def test_a_system_in_another_group_is_refused_with_the_right_group(kind, name, expected):
    message = (
        f"params.yaml: system {name!r} is listed under systems.{kind}; "
        f"expected systems.{expected}. Move it there."
    )

    with pytest.raises(ParamsError, match=f"^{re.escape(message)}$"):
        configure.system(kind, name)


def test_configure_refuses_a_system_in_another_group(settings, write_params, tmp_path):
    systems = {**settings["systems"], "scratch": dict(settings["systems"]["scratch"])}
    systems["fusion"] = {**systems["fusion"], "mctn": systems["scratch"].pop("mctn")}
    path = write_params(systems=systems)

    with pytest.raises(ParamsError, match=r"system 'mctn' is listed under systems\.fusion"):
        configure.main(configured(path, tmp_path / "configs"))


def test_all_errors_in_an_entry_are_reported_at_once(resolve):
    with pytest.raises(ParamsError, match="lamda2") as caught:
        resolve({"lamda2": 3, "hidden": 0, "lr": -1})

    assert len(str(caught.value).splitlines()) == 3

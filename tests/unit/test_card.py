"""The model card: front matter, metrics, corpus and licence."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from ifmmin.core.errors import UserError
from ifmmin.core.scoring import ua, wa
from ifmmin.core.terms import CONDITIONS
from ifmmin.deploy import card, export_settings
from ifmmin.evaluation.calibration_error import ece
from ifmmin.training.calibration import probabilities
from models import CLASSES, STARTS, header, known

BINS = 7
HEADS = {
    "average": "average",
    "a": "{a}",
    "v": "{v}",
    "t": "{t}",
    "av": "{a,v}",
    "at": "{a,t}",
    "vt": "{v,t}",
    "avt": "{a,v,t}",
}


def fold():
    """Speaker a trains, b validates, c tests; ten utterances each."""
    roles = {"a": "train", "b": "validation", "c": "test"}
    rows = [(f"{speaker}{n}", speaker, role) for speaker, role in roles.items() for n in range(10)]
    return pd.DataFrame(rows, columns=["utterance_id", "speaker", "role"])


def predictions(name):
    draw, parts = np.random.default_rng(3), []
    for c in known(name):
        logits = draw.normal(0, 3, (10, 4))
        columns = {f"logit_{name}": logits[:, k] for k, name in enumerate(CLASSES)}
        keys = {"utterance_id": [f"c{n}" for n in range(10)], "condition": c, "label": np.arange(10) % 4}
        parts.append(pd.DataFrame({**keys, "predicted": logits.argmax(1), **columns}))
    return pd.concat(parts, ignore_index=True)


def scores(name):
    """Two folds and one seed: UA 0.5 and 0.7, WA 0.4 in every condition; and another system."""
    rows = [
        (system, f, 0, c, 0.4, u)
        for system, us in ((name, (0.5, 0.7)), ("other", (0.1, 0.1)))
        for f, u in enumerate(us, start=1)
        for c in (*known(name), "average")
    ]
    return pd.DataFrame(rows, columns=["system", "fold", "seed", "condition", "wa", "ua"])


def text(name="if_mmin", **corpus):
    settings = header(name)
    settings["corpus"] |= corpus
    return card.text(
        settings, fold=fold(), scores=scores(name), predictions=predictions(name), calibration_bins=BINS
    )


def table(text, section):
    """Cells of the rows of the table below a heading."""
    part = text.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def front(text):
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize("name", STARTS)
def test_the_front_matter_has_the_fields_of_the_hub(name):
    metadata = front(text(name))

    assert metadata["license"] == "other"
    assert metadata["license_link"] == "LICENSE.md"
    assert re.fullmatch(r"[a-z0-9-]+", metadata["license_name"])
    assert metadata["pipeline_tag"] == "audio-classification"
    [result] = metadata["model-index"][0]["results"]
    assert result["dataset"] == {"type": "a-corpus", "name": "a corpus"}
    named = {metric["name"]: (metric["type"], metric["value"]) for metric in result["metrics"]}
    assert len(named) == 2 * (len(known(name)) + 1)


def test_metrics_are_those_of_the_model_on_its_test_utterances():
    predicted = predictions("if_mmin")
    [result] = front(text())["model-index"][0]["results"]
    metrics = {metric["name"]: metric["value"] for metric in result["metrics"]}

    by_condition = {c: predicted[predicted["condition"] == c] for c in known("if_mmin")}
    right = {c: wa(part["label"], part["predicted"]) for c, part in by_condition.items()}
    recall = {c: ua(part["label"], part["predicted"], 4) for c, part in by_condition.items()}
    assert metrics["WA, {a,t}"] == pytest.approx(right["at"], abs=5e-5)
    assert metrics["UA (mean recall of the classes), {v}"] == pytest.approx(recall["v"], abs=5e-5)
    assert metrics["WA, average"] == pytest.approx(np.mean([right[c] for c in CONDITIONS]), abs=5e-5)


@pytest.mark.parametrize("name", ["if_mmin", "mctn"])
def test_the_table_has_mean_and_std_over_all_runs(name):
    """UA 0.5 and 0.7: mean 0.6, std sqrt(0.02) = 0.1414 (ddof 1); WA 0.4 twice."""
    rows = table(text(name), "Metrics")

    assert [row[0] for row in rows] == [HEADS[c] for c in ("average", *known(name))]
    assert {tuple(row[3:]) for row in rows} == {("0.4000 ± 0.0000", "0.6000 ± 0.1414")}


def test_calibration_is_measured_on_the_test_utterances():
    predicted, temperatures = predictions("if_mmin"), header("if_mmin")["calibration"]
    rows = {row[0]: row[1:] for row in table(text(), "Calibration")}

    assert list(rows) == [HEADS[c] for c in known("if_mmin")]
    for c in known("if_mmin"):
        part, T = predicted[predicted["condition"] == c], temperatures[c]["temperature"]
        logits, y = part[[f"logit_{k}" for k in CLASSES]].to_numpy(), part["label"].to_numpy()
        expected = [T, *(ece(probabilities(logits, x), y, BINS) for x in (1.0, T))]
        assert rows[HEADS[c]] == [f"{x:.4f}" for x in expected]
    assert f"({BINS} bins;" in text()


def test_speakers_utterances_and_feature_sizes_are_listed():
    assert table(text(), "Fold and speakers") == [
        ["train", "10", "a"],
        ["validation", "10", "b"],
        ["test", "10", "c"],
    ]
    assert [row[:2] for row in table(text(), "Data")] == [["a", "5"], ["v", "4"], ["t", "3"]]
    assert "No speaker has two roles." in text()


def test_a_fold_whose_roles_share_a_speaker_is_not_called_disjoint():
    shown = card.text(
        header("if_mmin"),
        fold=fold().replace({"speaker": {"b": "a"}}),
        scores=scores("if_mmin"),
        predictions=predictions("if_mmin"),
        calibration_bins=BINS,
    )

    assert "No speaker has two roles." not in shown


def test_a_model_of_a_synthetic_corpus_has_a_warning():
    warning = "**The corpus is synthetic.**"

    assert warning in text(synthetic=True)
    assert warning not in text()


def test_licence_names_the_corpus():
    assert "the licence of a corpus applies" in text()
    shown = card.licence({"name": "IEMOCAP", "synthetic": False, "iemocap": True})
    assert "the licence of IEMOCAP (https://sail.usc.edu/iemocap/) applies" in shown


def test_extractors_are_listed_if_the_corpus_names_them():
    rows = table(text(extractors={"a": "ComParE"}), "Data")

    assert [row[2] for row in rows] == ["ComParE", *["not stated by the corpus"] * 2]


def test_predictions_of_other_utterances_are_refused():
    other = predictions("mctn").replace({"utterance_id": {"c3": "b3"}})

    with pytest.raises(UserError, match="not the fold's test utterances"):
        card.text(
            header("mctn"), fold=fold(), scores=scores("mctn"), predictions=other, calibration_bins=BINS
        )


def test_predictions_of_other_classes_are_refused():
    other = predictions("mctn").rename(columns={"logit_sad": "logit_bored"})

    with pytest.raises(UserError, match=r"classes are angry, happy, neutral, bored; the model's are .*sad"):
        card.text(
            header("mctn"), fold=fold(), scores=scores("mctn"), predictions=other, calibration_bins=BINS
        )


def test_scores_without_the_system_are_refused():
    with pytest.raises(UserError, match="no run of mctn"):
        card.text(
            header("mctn"),
            fold=fold(),
            scores=scores("mmin"),
            predictions=predictions("mctn"),
            calibration_bins=BINS,
        )


def test_a_header_of_an_older_format_is_refused():
    old = header("mctn")
    del old["scaling"], old["calibration"]

    with pytest.raises(UserError, match=r"no scaling, calibration; .*Rerun train"):
        export_settings.scaling_and_temperatures(old)


def test_config_has_model_type_classes_and_conditions():
    config = export_settings.config(header("mctn"))

    assert config["model_type"] == "if-mmin"
    assert {config["id2label"][str(i)]: i for i in range(4)} == config["label2id"]
    assert list(config["label2id"]) == CLASSES
    assert config["conditions"] == list(CONDITIONS)


def test_preprocessor_has_the_scaling_and_the_sizes():
    preprocessor = export_settings.preprocessor(header("mmin"))

    assert preprocessor["feature_sizes"] == {"a": 5, "v": 4, "t": 3}
    assert len(preprocessor["mean"]) == len(preprocessor["std"]) == 5

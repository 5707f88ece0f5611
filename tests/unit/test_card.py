"""The model card: its front matter, its figures, and what it says of corpus and licence."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from ifmmin.core.errors import UserError
from ifmmin.core.scoring import ua, wa
from ifmmin.core.terms import CONDITIONS
from ifmmin.deploy import card, export_settings
from ifmmin.training.calibration import ece, probabilities
from models import CLASSES, STARTS, header, known

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
        columns = {f"logit_{of}": logits[:, k] for k, of in enumerate(CLASSES)}
        keys = {"utterance_id": [f"c{n}" for n in range(10)], "condition": c, "label": np.arange(10) % 4}
        parts.append(pd.DataFrame({**keys, "predicted": logits.argmax(1), **columns}))
    return pd.concat(parts, ignore_index=True)


def scores(name):
    """Two folds and one seed: of every condition UA 0.5 and 0.7, WA 0.4 and 0.4; and another system's."""
    rows = [
        (system, f, 0, c, 0.4, u)
        for system, us in ((name, (0.5, 0.7)), ("other", (0.1, 0.1)))
        for f, u in enumerate(us, start=1)
        for c in (*known(name), "average")
    ]
    return pd.DataFrame(rows, columns=["system", "fold", "seed", "condition", "wa", "ua"])


def text(name="if_mmin", **corpus):
    of = header(name)
    of["corpus"] |= corpus
    return card.text(of, fold=fold(), scores=scores(name), predictions=predictions(name))


def table(text, section):
    """Cells of the rows of the table below a heading."""
    part = text.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def front(text):
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize("name", STARTS)
def test_the_front_matter_is_what_the_hub_reads(name):
    found = front(text(name))

    assert found["license"] == "other"
    assert found["license_link"] == "LICENSE.md"
    assert re.fullmatch(r"[a-z0-9-]+", found["license_name"])
    assert found["pipeline_tag"] == "audio-classification"
    [result] = found["model-index"][0]["results"]
    assert result["dataset"] == {"type": "a-corpus", "name": "a corpus"}
    named = {metric["name"]: (metric["type"], metric["value"]) for metric in result["metrics"]}
    assert len(named) == 2 * (len(known(name)) + 1)


def test_its_metrics_are_the_model_s_own_on_its_test_utterances():
    own = predictions("if_mmin")
    found = {of["name"]: of["value"] for of in front(text())["model-index"][0]["results"][0]["metrics"]}

    by_condition = {c: own[own["condition"] == c] for c in known("if_mmin")}
    right = {c: wa(part["label"], part["predicted"]) for c, part in by_condition.items()}
    recall = {c: ua(part["label"], part["predicted"], 4) for c, part in by_condition.items()}
    assert found["WA, {a,t}"] == pytest.approx(right["at"], abs=5e-5)
    assert found["UA (mean recall of the classes), {v}"] == pytest.approx(recall["v"], abs=5e-5)
    assert found["WA, average"] == pytest.approx(np.mean([right[c] for c in CONDITIONS]), abs=5e-5)


@pytest.mark.parametrize("name", ["if_mmin", "mctn"])
def test_the_table_has_mean_and_spread_over_all_runs(name):
    """UA 0.5 and 0.7: mean 0.6, deviation sqrt(0.02) = 0.1414 (ddof 1); WA 0.4 twice."""
    rows = table(text(name), "Metrics")

    assert [row[0] for row in rows] == [HEADS[c] for c in ("average", *known(name))]
    assert {tuple(row[3:]) for row in rows} == {("0.4000 ± 0.0000", "0.6000 ± 0.1414")}


def test_calibration_is_the_header_s_on_validation_and_measured_on_test():
    own, of = predictions("if_mmin"), header("if_mmin")
    rows = {row[0]: row[1:] for row in table(text(), "Calibration")}

    assert list(rows) == [HEADS[c] for c in known("if_mmin")]
    for c in known("if_mmin"):
        part, facts = own[own["condition"] == c], of["calibration"][c]
        logits, y = part[[f"logit_{k}" for k in CLASSES]].to_numpy(), part["label"].to_numpy()
        test = [ece(probabilities(logits, T), y) for T in (1.0, facts["temperature"])]
        expected = [facts["temperature"], facts["ece_before"], facts["ece_after"], *test]
        assert rows[HEADS[c]] == [f"{x:.4f}" for x in expected]


def test_folds_speakers_and_sizes_are_counted():
    assert table(text(), "Fold and speakers") == [
        ["train", "10", "a"],
        ["validation", "10", "b"],
        ["test", "10", "c"],
    ]
    assert [row[:2] for row in table(text(), "Data")] == [["a", "5"], ["v", "4"], ["t", "3"]]
    assert "No speaker has two roles." in text()


def test_a_speaker_of_two_roles_is_not_denied():
    of, speakers = fold(), {"b": "a"}
    shown = card.text(
        header("if_mmin"),
        fold=of.replace({"speaker": speakers}),
        scores=scores("if_mmin"),
        predictions=predictions("if_mmin"),
    )

    assert "No speaker has two roles." not in shown


def test_a_model_of_a_generated_corpus_is_said_to_be_good_for_nothing_else():
    warning = "**The corpus is synthetic.**"

    assert warning in text(synthetic=True)
    assert warning not in text()


def test_licence_names_the_corpus():
    assert "the licence of a corpus applies" in text()
    shown = card.licence({"name": "IEMOCAP", "synthetic": False, "iemocap": True})
    assert "the licence of IEMOCAP (https://sail.usc.edu/iemocap/) applies" in shown


def test_extractors_are_named_where_the_corpus_names_them():
    rows = table(text(extractors={"a": "ComParE"}), "Data")

    assert [row[2] for row in rows] == ["ComParE", *["not stated by the corpus"] * 2]


def test_predictions_of_other_utterances_are_refused():
    other = predictions("mctn").replace({"utterance_id": {"c3": "b3"}})

    with pytest.raises(UserError, match="not the fold's test utterances"):
        card.text(header("mctn"), fold=fold(), scores=scores("mctn"), predictions=other)


def test_predictions_of_other_classes_are_refused():
    other = predictions("mctn").rename(columns={"logit_sad": "logit_bored"})

    with pytest.raises(UserError, match=r"classes are angry, happy, neutral, bored; the model's are .*sad"):
        card.text(header("mctn"), fold=fold(), scores=scores("mctn"), predictions=other)


def test_scores_without_the_system_are_refused():
    with pytest.raises(UserError, match="no run of mctn"):
        card.text(header("mctn"), fold=fold(), scores=scores("mmin"), predictions=predictions("mctn"))


def test_a_header_of_an_older_train_is_refused():
    of = header("mctn")
    del of["scaling"], of["calibration"]

    with pytest.raises(UserError, match=r"no scaling, calibration; .*Rerun train"):
        export_settings.given(of)


def test_config_says_how_to_build_and_what_the_answers_mean():
    of = export_settings.config(header("mctn"))

    assert of["model_type"] == "if-mmin"
    assert {of["id2label"][str(i)]: i for i in range(4)} == of["label2id"]
    assert list(of["label2id"]) == CLASSES
    assert of["conditions"] == list(CONDITIONS)


def test_preprocessor_has_the_scaling_and_the_sizes():
    of = export_settings.preprocessor(header("mmin"))

    assert of["feature_sizes"] == {"a": 5, "v": 4, "t": 3}
    assert len(of["mean"]) == len(of["std"]) == 5

"""Building systems by name and restoring them from a model file's header."""

import pytest
import torch

import models
from conftest import ENCODERS, SIZES, SYSTEM
from ifmmin import systems
from ifmmin.core.errors import UserError

BUILD = {key: value for key, value in SYSTEM.items() if key != "n_classes"}


def test_a_system_starts_from_the_pretrained_encoders(new_encoders):
    weights = new_encoders(seed=5).state_dict()
    start = {"n_classes": 4, "encoders": {**ENCODERS, "sizes": SIZES}}

    built = systems.build("if_mmin", start=start, build=BUILD, pretrained=weights)
    untrained = systems.build("if_mmin", start=start, build=BUILD)

    for name, value in weights.items():
        assert torch.equal(built.state_dict()[f"encoders.{name}"], value)
    assert list(untrained.state_dict()) == list(built.state_dict())


def test_an_unknown_system_is_named():
    with pytest.raises(UserError, match=r"'nothing' has no file; expected ifmmin/systems/nothing\.py"):
        systems.build("nothing", start={"n_classes": 4}, build={})


def test_restoring_a_trained_system_restores_all_weights(new_encoders):
    start = {"n_classes": 4, "encoders": {**ENCODERS, "sizes": SIZES}}
    header = {"system": "if_mmin", "start": start, "build": BUILD}
    trained = systems.build("if_mmin", start=start, build=BUILD, pretrained=new_encoders(seed=5).state_dict())

    restored = systems.restore("m", trained.state_dict(), header)

    for name, value in trained.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value)


def test_every_system_can_be_restored():
    for name in models.STARTS:
        trained = models.model(name).state_dict()

        restored = systems.restore("m", trained, models.header(name)).state_dict()

        assert all(torch.equal(restored[key], value) for key, value in trained.items())


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("build", {}, "missing"),
        ("build", [], ""),
        ("build", {**models.IF_MMIN, "autoencoder": [10**9, 5]}, "its settings ask for|can't allocate"),
        ("build", {**models.IF_MMIN, "autoencoder": [10**19, 5]}, ""),
        ("build", {**models.IF_MMIN, "M": 10**9}, "its settings ask for more weights than it has"),
        ("build", {**models.IF_MMIN, "classifier": [7, 5]}, "size mismatch"),
        ("build", {**models.IF_MMIN, "dropout": 7}, "dropout"),
        ("start", {}, ""),
        ("start", {**models.INVARIANT, "n_classes": 10**9}, "its settings ask for more weights"),
        ("start", {**models.INVARIANT, "n_classes": "four"}, ""),
        ("system", "mmin", ""),
        ("system", "..if_mmin", "No module"),
        ("system", 3, "has no file"),
        ("system", None, ""),
    ],
)
def test_settings_that_contradict_the_weights_are_refused(part, value, message):
    header = {**models.header("if_mmin"), part: value}

    with pytest.raises(UserError, match=rf"^m: is not a usable model \(.*({message})"):
        systems.restore("m", models.model("if_mmin").state_dict(), header)


def test_extra_or_missing_weights_are_refused():
    trained = models.model("if_mmin").state_dict()
    first, *_ = trained

    with pytest.raises(UserError, match="Unexpected key"):
        systems.restore("m", {**trained, "more": torch.zeros(1)}, models.header("if_mmin"))
    renamed = {("other" if name == first else name): x for name, x in trained.items()}
    with pytest.raises(UserError, match="Missing key"):
        systems.restore("m", renamed, models.header("if_mmin"))

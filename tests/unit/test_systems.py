"""A system by its name, from what its file's header says."""

import pytest
import torch

from conftest import ENCODERS, SIZES, SYSTEM
from ifmmin import systems
from ifmmin.errors import UserError

BUILD = {key: value for key, value in SYSTEM.items() if key != "n_classes"}


def test_a_system_takes_the_weights_of_its_encoders(new_encoders):
    weights = new_encoders(seed=5).state_dict()
    start = {"n_classes": 4, "encoders": {**ENCODERS, "sizes": SIZES}}

    built = systems.build("if_mmin", start=start, build=BUILD, pretrained=weights)
    anew = systems.build("if_mmin", start=start, build=BUILD)

    for name, value in weights.items():
        assert torch.equal(built.state_dict()[f"encoders.{name}"], value)
    assert list(anew.state_dict()) == list(built.state_dict())


def test_a_system_without_a_file_is_named():
    with pytest.raises(UserError, match=r"'nothing' has no file; expected stages/ifmmin/systems/nothing\.py"):
        systems.build("nothing", start={"n_classes": 4}, build={})


def test_a_trained_system_comes_back_from_its_file_with_all_its_weights(new_encoders):
    start = {"n_classes": 4, "encoders": {**ENCODERS, "sizes": SIZES}}
    header = {"system": "if_mmin", "start": start, "build": BUILD}
    trained = systems.build("if_mmin", start=start, build=BUILD, pretrained=new_encoders(seed=5).state_dict())

    restored = systems.restore(trained.state_dict(), header)

    for name, value in trained.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value)


def test_weights_of_another_system_are_no_system():
    start = {"n_classes": 4, "encoders": {**ENCODERS, "sizes": SIZES}}
    trained = systems.build("if_mmin", start=start, build=BUILD)
    few = dict(list(trained.state_dict().items())[1:])

    with pytest.raises(RuntimeError, match="Missing key"):
        systems.restore(few, {"system": "if_mmin", "start": start, "build": BUILD})

"""The default settings avoid collapse on both corpora, with text and visual features scaled by 0.2 to 3."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import collapse

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MOSI = Path(os.environ.get("MOSI_PACK", ROOT.parent / "shared/packs/mosi"))
EPOCHS = {"epochs_constant": 5, "epochs_decay": 5}


@pytest.fixture(scope="session", params=["embedded", "mosi"])
def prepared(request, tmp_path_factory):
    """Features and folds of a corpus, written by the stages."""
    folder = tmp_path_factory.mktemp(request.param)
    pack = MOSI
    if request.param == "embedded":
        pack = folder / "pack"
        stage("synthesize", "--params", ROOT / "params.yaml", "--out", pack, cwd=folder)
    elif not MOSI.is_dir():
        pytest.skip(f"{MOSI} does not exist: set MOSI_PACK to a CMU-MOSI pack (not part of this project)")
    stage("ingest", "--pack", pack, "--out", folder / "features", cwd=folder)
    stage(
        "split",
        "--params",
        ROOT / "params.yaml",
        "--features",
        folder / "features",
        "--out",
        folder / "folds",
        cwd=folder,
    )
    return folder


def stage(name, *arguments, cwd):
    command = [sys.executable, "-m", f"stages.{name}", *map(str, arguments)]
    subprocess.run(command, cwd=cwd, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_default_settings_keep_encoder_units_active(prepared, scale):
    """At least a twentieth of each encoder's units vary, and the std of each H^m is above 0.02."""
    data, n_classes = collapse.corpus(prepared / "features", prepared / "folds", 1, scale)

    measured = collapse.measure(data, n_classes, **EPOCHS)

    for stage_, row in (("pretraining", measured.pretraining), ("training", measured.training)):
        for feature in collapse.MEASURED:
            assert row[f"active_{feature}"] >= 1 / 20, (
                f"{stage_}: {feature} has {row[f'active_{feature}']:.1%} active units"
            )
        for feature in ("H_a", "H_v", "H_t"):
            assert row[f"std_{feature}"] > 0.02, f"{stage_}: std of {feature} is {row[f'std_{feature}']:.4f}"


@pytest.mark.parametrize("prepared", ["embedded"], indirect=True)
def test_the_literal_settings_collapse_and_the_history_shows_it(prepared):
    """With L_cmd unweighted and dropout in Enc', the text encoder's output is almost constant."""
    data, n_classes = collapse.corpus(prepared / "features", prepared / "folds", 1)

    measured = collapse.measure(data, n_classes, collapse.SETTINGS["literal"], **EPOCHS)

    assert min(measured.pretraining["active_h_t"], measured.training["active_h_t"]) < 1 / 20

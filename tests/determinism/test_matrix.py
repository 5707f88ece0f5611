"""Reproducibility as docs/reliability.md states it, at a small size."""

import numpy as np
import pytest

from determinism import matrix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def differences(tmp_path_factory):
    """Differences of IF-MMIN, with pretraining, after no change, another folder and other threads."""
    folder = tmp_path_factory.mktemp("matrix")
    matrix.prepare(folder, small=True)
    return dict(matrix.measure(folder, "if_mmin", ["nothing", "the folder", "2 threads"]))


@pytest.mark.parametrize("change", ["nothing", "the folder"])
def test_files_are_equal_byte_by_byte(differences, change):
    assert differences[change] == matrix.Difference(files=True, weights=0.0, logits=0.0, predictions=0.0)


def test_other_threads_change_results_by_rounding_only(differences):
    """This holds after a few steps; rounding differences grow in a longer training."""
    assert not differences["2 threads"].files  # at least the number of threads in the header differs
    assert differences["2 threads"].weights < 1e-3
    assert differences["2 threads"].predictions < 0.05
    assert np.isfinite(differences["2 threads"].logits)

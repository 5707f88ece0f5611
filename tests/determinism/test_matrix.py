"""The lines of the table in docs/reliability.md that say equal, at a size that a test can wait for."""

import numpy as np
import pytest

from determinism import matrix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """IF-MMIN, with its pretraining: what differs when nothing changes, the folder, the threads."""
    folder = tmp_path_factory.mktemp("matrix")
    matrix.prepare(folder, small=True)
    return dict(matrix.measure(folder, "if_mmin", ["nothing", "the folder", "2 threads"]))


@pytest.mark.parametrize("change", ["nothing", "the folder"])
def test_every_file_is_the_same_byte_by_byte(found, change):
    assert found[change] == matrix.Difference(files=True, weights=0.0, logits=0.0, predictions=0.0)


def test_other_threads_leave_what_differs_by_rounding(found):
    """After a few steps; what is rounded elsewhere grows with the training, see docs/reliability.md."""
    assert not found["2 threads"].files  # the comparison sees the header at least
    assert found["2 threads"].weights < 1e-3
    assert found["2 threads"].predictions < 0.05
    assert np.isfinite(found["2 threads"].logits)

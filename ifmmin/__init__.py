"""IF-MMIN: emotion recognition with missing modalities (acoustic, visual, textual).

    import ifmmin
    model = ifmmin.load("data/models/if_mmin")     # one file, or a folder of folds and seeds: an ensemble
    model.predict({"a": frames_a, "t": frames_t})

The library is divided into packages. Each imports only packages below it (pyproject.toml, importlinter):

    cli                       the command ifmmin
    deploy | report |         models in use; figures, page and printed tables;
      tracking                training histories in TensorBoard or MLflow
    results | parallel        Table 1, marks, tests; the stages on several workers
    evaluation | media        predictions of test utterances; features of recordings
    training | pack           the training loop; feature packs
    systems | pretraining     one file for each system and each kind of pretraining
    corpus | settings | nn    features and folds; params.yaml; networks and losses
    core                      terms, errors, files
"""

import os
import sys
from typing import TYPE_CHECKING

if sys.version_info < (3, 11):  # noqa: UP036 - before anything is imported that an older Python cannot read
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        "This is Python " + version + "; expected 3.11 or newer. "
        "Create the virtual environment with Python 3.11 or newer."
    )

if TYPE_CHECKING:
    from ifmmin.deploy.api import Model

__all__ = ["load"]


def load(*paths: "str | os.PathLike[str]") -> "Model":
    """Load a trained model, or several of one system as an ensemble.

    Args:
        paths: model files (.safetensors), or folders of model files, for example data/models/if_mmin or an
            export.

    Returns:
        The model. It runs on the device named by IFMMIN_DEVICE (default: a GPU if there is one).

    Raises:
        ifmmin.core.errors.UserError: if a path holds no model, or the models are of several systems.
    """
    from ifmmin.deploy.api import load

    return load(*paths)

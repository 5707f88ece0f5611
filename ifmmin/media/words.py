"""Textual frames: the last hidden state of a transformer, one frame per word piece.

The paper's encoder is BERT-large; any encoder that transformers can load works. The special tokens [CLS] and
[SEP] are kept, as in the encoder's training; whether the published pack has them is unknown.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ifmmin.core.errors import UserError, one_line
from ifmmin.media.packages import digest, needed

EXPECTED = (
    "expected a folder with a model and its tokenizer, saved by transformers' save_pretrained as safetensors"
)


class Textual:
    """A transformer from a local folder; loading downloads, unpickles and executes nothing.

    Attributes:
        name: class of the model and digest of its weights.
        size: hidden size.
    """

    def __init__(self, folder: Path) -> None:
        """Load the encoder.

        Raises:
            UserError: if a package is missing, or the folder holds no encoder.
        """
        weights = sorted(folder.glob("*.safetensors"))
        if not weights or not (folder / "config.json").is_file():
            raise UserError(f"{folder}: holds no encoder (config.json, *.safetensors); {EXPECTED}.")
        os.environ["HF_HUB_OFFLINE"] = "1"
        with needed():
            import transformers
        transformers.utils.logging.disable_progress_bar()
        try:
            self._tokenizer, self._model = _loaded(transformers, folder)
            self.size: int = self._encoded("a").shape[1]
        except Exception as error:  # invalid files raise many kinds of errors
            raise UserError(
                f"{folder}: not readable as an encoder ({one_line(error)}); {EXPECTED}."
            ) from error
        self.name = f"{type(self._model).__name__} {digest(weights)}"

    def frames(self, text: str) -> NDArray[np.float32] | None:
        """Encode a text; texts that are too long for the encoder are truncated.

        Returns:
            [T, hidden size] float32, T word pieces; None if the text has no letter and no digit.
        """
        return self._encoded(text) if any(map(str.isalnum, text)) else None

    def _encoded(self, text: str) -> NDArray[np.float32]:
        longest = min(self._tokenizer.model_max_length, self._model.config.max_position_embeddings)
        pieces = self._tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
        with torch.inference_mode():
            hidden_states: NDArray[np.float32] = (
                self._model(**pieces).last_hidden_state[0].numpy()
            )  # [T, hidden size]
        return hidden_states


def _loaded(transformers: Any, folder: Path) -> tuple[Any, Any]:  # noqa: ANN401 - it has no types
    """Load tokenizer and model.

    Raises:
        ValueError: if weights are missing; transformers would initialise them randomly.
    """
    local = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
    model, loading = transformers.AutoModel.from_pretrained(
        folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
    )
    missing = sorted(name for name in loading["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ValueError(f"it lacks {len(missing)} weights, first {missing[0]}")
    return tokenizer, model.eval()

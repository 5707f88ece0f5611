"""What the networks on one set of encoders share: encoding, prediction by condition, monitored features."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from ifmmin.core.terms import MODALITIES
from ifmmin.nn.encoders import Encoders, assembled
from ifmmin.nn.protocol import PRESENT, Prediction, SystemDefaults, presence
from ifmmin.nn.sequences import Sequences


class EncoderSystem(SystemDefaults, nn.Module):
    """Part of a System (nn/protocol.py); a subclass defines `predict_from`, losses and networks."""

    encoders: Encoders

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode every modality of the encoders: modality to (B, hidden)."""
        return self.encoders.encode(x)

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in several conditions from the same features, with zero placeholders for missing ones."""
        missing = self.encoders.missing()
        return {c: self.predict_from(assembled(encoded, missing, c)) for c in conditions}

    def predict_from(self, h_m: Mapping[str, Tensor]) -> Prediction:
        """Predict from one feature per modality: modality to (B, hidden)."""
        raise NotImplementedError

    def monitored(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Monitored features: name to h^m or, with Enc', H^m (B, hidden)."""
        return self.encoders.monitored(encoded)


class InvariantSystem(EncoderSystem):
    """Part of a system whose encoders include Enc'."""

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode all modalities: modality to (B, hidden), and PRESENT."""
        return {**super().encode(x), PRESENT: presence(x)}

    def features(self, encoded: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return h^m and H^m of the full input: modality to (B, hidden)."""
        h_m = {m: encoded[m] for m in MODALITIES}
        return h_m, self.encoders.invariant(h_m)

    def monitored(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Monitored features: name to h^m and H^m (B, hidden)."""
        return super().monitored({m: encoded[m] for m in MODALITIES})

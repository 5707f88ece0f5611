"""MCTN: translate the available modalities into the missing ones and predict from the encoder's states.

The paper's Table 1 reports a re-implementation whose code is not published, and one MCTN handles one set of
available modalities. This is therefore our construction for the protocol of Table 1: the method of Pham et
al. ("Found in Translation", AAAI 2019; their code: hainow/MCTN) with one translator for each of the six
conditions.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ifmmin.core.terms import MODALITIES
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.per_condition import PerCondition, per_condition, with_prefixes
from ifmmin.nn.protocol import PRESENT, Batch, CheckpointGroup, Prediction, SystemDefaults, presence
from ifmmin.nn.sequences import Sequences, to_device

PRETRAINING = None

TARGETS = {"a": ("t", "v"), "v": ("t", "a"), "t": ("v", "a"), "av": ("t",), "at": ("v",), "vt": ("a",)}
"""Target modalities of each condition.

Level 1 translates the source into the first target and back; level 2 translates the states of level 1 into
the second target.
"""

ROUNDING = 1e-6
"""A feature counts as constant if its std is below this fraction of its root mean square."""


def resampled(x: Sequences, steps: int) -> Tensor:
    """Resample sequences to a common number of steps.

    Args:
        x: B sequences of D features; the result is undefined for the zero placeholder.
        steps: number of steps.

    Returns:
        (B, steps, D): the mean of the frames in each of `steps` equal bins; for a sequence with fewer frames,
        the frame nearest to the middle of each bin.
    """
    bins, lengths = torch.arange(steps), x.lengths[:, None]
    middle = (2 * bins + 1) * lengths // (2 * steps)
    short = lengths < steps
    first = torch.where(short, middle, bins * lengths // steps)  # (B, steps)
    end = torch.where(short, middle + 1, (bins + 1) * lengths // steps)
    return x.means(first, end)


class Translation(nn.Module):
    """An encoder, whose states are the joint representation, and a decoder that attends to them.

    The published score of state j at step i is linear, w e_j + w' c_{i-1}. The second term is the same for
    all j, so the softmax over j cancels it. It is omitted here; the attention weights are the same in all
    steps.

    Source:
        hainow/MCTN: bidirectional LSTM with summed directions; LSTM decoder without feedback.
    """

    def __init__(self, *, hidden: int) -> None:
        """Build for input and output sequences of `hidden` features."""
        super().__init__()
        self.encoder = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(hidden, 1, bias=False)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)

    def encode(self, x: Tensor) -> Tensor:
        """Map (B, T, hidden) to the summed states of both directions (B, T, hidden)."""
        forward, backward = self.encoder(x)[0].chunk(2, dim=2)
        states: Tensor = forward + backward
        return states

    def decode(self, states: Tensor) -> Tensor:
        """Map states (B, T, hidden) to (B, T, hidden)."""
        context = attention_pool(states, self.attention(states))[:, None]  # (B, 1, hidden)
        decoded: Tensor = self.decoder(context.expand(-1, states.shape[1], -1))[0]
        return decoded


def attention_pool(states: Tensor, scores: Tensor) -> Tensor:
    """Mean of (B, T, D) over T, weighted by the softmax of the scores (B, T, 1): (B, D)."""
    return (scores.softmax(1) * states).sum(1)


class Head(nn.Module):
    """An LSTM over the joint representation, pooled by attention. Source: hainow/MCTN."""

    def __init__(self, *, hidden: int) -> None:
        """Build for states of `hidden` units."""
        super().__init__()
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.attention = nn.Linear(hidden, 1)

    def forward(self, joint: Tensor) -> Tensor:
        """Map (B, T, hidden) to (B, hidden)."""
        states = self.lstm(joint)[0]
        return attention_pool(states, self.attention(states).tanh())


class Translator(SystemDefaults, nn.Module):
    """MCTN for one condition: the available modalities are the source, the missing ones the targets.

    Level 1 translates the source into the first target and back, with the same encoder and decoder. If there
    is a second target, level 2 translates the states of level 1 into it. The encoder states of the last level
    are the joint representation. Prediction uses the source only.
    """

    def __init__(
        self,
        *,
        sizes: Mapping[str, int],
        hidden: int,
        steps: int,
        classifier: Classifier,
        translation_weight: float,
        condition: str,
    ) -> None:
        """Build a translator.

        Args:
            sizes: feature size D_m of each modality.
            hidden: number of units of each state.
            steps: number of steps to which every sequence is resampled.
            classifier: takes the pooled joint representation.
            translation_weight: common weight of L_trans_1, L_cycle and L_trans_2.
            condition: the available modalities.
        """
        super().__init__()
        targets = TARGETS[condition]
        widths = {**sizes, condition: sum(sizes[m] for m in condition)}
        self.condition, self.steps, self.translation_weight = condition, steps, translation_weight
        self.inputs = nn.ModuleDict({s: nn.Linear(widths[s], hidden) for s in (condition, targets[0])})
        self.outputs = nn.ModuleDict({s: nn.Linear(hidden, widths[s]) for s in (condition, *targets)})
        self.level_1 = Translation(hidden=hidden)
        self.level_2 = Translation(hidden=hidden) if len(targets) == 2 else None
        self.head = Head(hidden=hidden)
        self.classifier = classifier
        for m in MODALITIES:
            self.register_buffer(f"mean_{m}", torch.zeros(sizes[m]))
            self.register_buffer(f"deviation_{m}", torch.ones(sizes[m]))

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network; all are trained."""
        return dict(self.named_children())

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of its condition."""
        return {"": CheckpointGroup((self.condition,), self.state_dict())}

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Compute the mean and std of each feature over the training frames, and standardise the sequences.

        Standardised modalities give translation losses of similar size.
        """
        for m, sequences in x.items():
            size, device = sequences.frames.shape[1], sequences.frames.device
            sums = torch.zeros(2, size, dtype=torch.float64, device=device)
            for _, group in sequences.by_length():
                frames = group.padded().double()  # (T, b, D), padded with zeros
                sums += torch.stack([frames.sum((0, 1)), frames.square().sum((0, 1))])
            mean, square = sums / sequences.lengths[sequences.present].sum().clamp_min(1)
            std = (square - mean.square()).clamp_min(0).sqrt()
            getattr(self, f"mean_{m}").copy_(mean)
            varies = std > ROUNDING * square.sqrt()
            getattr(self, f"deviation_{m}").copy_(torch.where(varies, std, 1.0))
        return self.standardised(x)

    def copy_statistics(self, other: "Translator") -> None:
        """Copy the means and stds of another translator."""
        for name, x in other.named_buffers():
            self.get_buffer(name).copy_(x)

    def standardised(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Resample and standardise: modality to (B, steps, D_m); all zero for missing sequences."""
        return {m: self._standardised(m, sequences) for m, sequences in x.items()}

    def _standardised(self, m: str, x: Sequences) -> Tensor:
        z = (resampled(x, self.steps) - self.get_buffer(f"mean_{m}")) / self.get_buffer(f"deviation_{m}")
        return z if x.present.all() else z * to_device(x.present, z)[:, None, None]

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + translation_weight (L_trans_1 + L_cycle + L_trans_2); L_trans_2 needs a second target.

        Source and targets are read from `batch.targets`, not from `batch.x`.

        Source:
            hainow/MCTN: weights 0.1 and mean squared errors; level 2 has no cycle.
        """
        mse = nn.functional.mse_loss
        source, (first, *second) = self.condition, TARGETS[self.condition]
        x = {s: _joined(batch.targets, s) for s in (source, first, *second)}
        joint = self.level_1.encode(self.inputs[source](x[source]))
        translated = self.outputs[first](self.level_1.decode(joint))
        states = self.level_1.encode(self.inputs[first](translated))
        reconstructed = self.outputs[source](self.level_1.decode(states))
        terms = {"L_trans_1": mse(translated, x[first]), "L_cycle": mse(reconstructed, x[source])}
        if self.level_2 is not None:
            joint = self.level_2.encode(joint)
            translated = self.outputs[second[0]](self.level_2.decode(joint))
            terms["L_trans_2"] = mse(translated, x[second[0]])
        L_cls = nn.functional.cross_entropy(self.classifier(self.head(joint)), batch.y)
        L = L_cls + self.translation_weight * torch.stack(list(terms.values())).sum()
        return {"L": L, "L_cls": L_cls, **terms}

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Compute the pooled joint representation (B, hidden) from the source alone."""
        return self.pooled_joint(self.standardised({m: x[m] for m in self.condition}))

    def pooled_joint(self, z: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the pooled joint representation (B, hidden) from standardised sequences."""
        joint = self.level_1.encode(self.inputs[self.condition](_joined(z, self.condition)))
        if self.level_2 is not None:
            joint = self.level_2.encode(joint)
        return {"joint": self.head(joint)}

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in the translator's condition; other conditions are left out."""
        O = self.classifier(encoded["joint"])  # noqa: E741 - the paper's letter for the logits
        return {c: Prediction(O, None) for c in conditions if c == self.condition}

    def monitored(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Monitored feature: the pooled joint representation (B, hidden)."""
        return dict(encoded)


def _joined(z: Mapping[str, Tensor], modalities: str) -> Tensor:
    """Concatenate modalities to (B, steps, sum of D_m)."""
    return torch.cat([z[m] for m in modalities], dim=2) if len(modalities) > 1 else z[modalities]


class MCTN(PerCondition[Translator]):
    """The six translators; they share the resampled and standardised sequences, computed once."""

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Standardise the sequences once; the targets are shared by all translators."""
        (_, first), *others = self.by_condition()
        z = first.precompute_targets(x)
        for _, other in others:
            other.copy_statistics(first)
        return z

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode each condition's modalities with its own translator, and add PRESENT."""
        (_, first), *_ = self.by_condition()
        z = first.standardised(x)
        features = with_prefixes({c: translator.pooled_joint(z) for c, translator in self.by_condition()})
        return {**features, PRESENT: presence(x)}


def translator(
    *,
    sizes: dict[str, int],
    n_classes: int,
    hidden: int,
    steps: int,
    classifier: list[int],
    dropout: float,
    translation_weight: float,
    condition: str,
) -> Translator:
    """Build the translator of one condition; its weights are initialised from torch's global generator.

    The arguments are those of Translator and Classifier.
    """
    network = Translator(
        sizes=sizes,
        hidden=hidden,
        steps=steps,
        classifier=Classifier(size=hidden, layers=classifier, n_classes=n_classes, dropout=dropout),
        translation_weight=translation_weight,
        condition=condition,
    )
    initialise(network)
    return network


build = per_condition(translator, MCTN)

"""MCTN: translate what is there into what is missing, and predict from the states of the translation.

The row of the paper's Table 1 is a re-implementation that nobody published, and one MCTN serves one set of
available modalities. So this one is ours: the method of Pham et al. ("Found in Translation", AAAI 2019; their
code: hainow/MCTN) for the protocol of Table 1, one translator for each of the six conditions.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ifmmin.nn.classifier import Classifier
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.per_condition import PRESENT, PerCondition, named, per_condition, present
from ifmmin.nn.sequences import Sequences, sent
from ifmmin.nn.systems import Batch, Part, Prediction
from ifmmin.terms import MODALITIES

PRETRAINING = None

TARGETS = {"a": ("t", "v"), "v": ("t", "a"), "t": ("v", "a"), "av": ("t",), "at": ("v",), "vt": ("a",)}
"""What each condition is translated into: first (there and back), then, from its states, second."""

ROUNDING = 1e-6
"""A feature whose deviation is a smaller part of its size than this is constant."""


def binned(x: Sequences, steps: int) -> Tensor:
    """Bring sequences to one number of steps.

    Args:
        x: B sequences of D numbers a frame; of silence the result has no meaning.
        steps: how many.

    Returns:
        (B, steps, D): the mean of the frames in each of `steps` equal bins; of a sequence with fewer frames,
        the frame nearest to the middle of each bin.
    """
    bins, lengths = torch.arange(steps), x.lengths[:, None]
    middle = (2 * bins + 1) * lengths // (2 * steps)
    short = lengths < steps
    first = torch.where(short, middle, bins * lengths // steps)  # (B, steps)
    behind = torch.where(short, middle + 1, (bins + 1) * lengths // steps)
    return x.means(first, behind)


class Translation(nn.Module):
    """An encoder, whose states are the joint representation, and a decoder that reads them by attention.

    The published score of state j at step i is linear, w e_j + w' c_{i-1}; the second term is the same for
    all j and leaves the softmax over j. So it is left out here: the weights are the same in each step.

    Source:
        hainow/MCTN: bidirectional LSTM with summed directions; LSTM decoder without feedback.
    """

    def __init__(self, *, hidden: int) -> None:
        """Build for sequences of `hidden` numbers, in and out."""
        super().__init__()
        self.encoder = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(hidden, 1, bias=False)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)

    def encode(self, x: Tensor) -> Tensor:
        """Map (B, T, hidden) to the states of both directions, summed: (B, T, hidden)."""
        forward, backward = self.encoder(x)[0].chunk(2, dim=2)
        states: Tensor = forward + backward
        return states

    def decode(self, states: Tensor) -> Tensor:
        """Map states (B, T, hidden) to (B, T, hidden)."""
        context = attended(states, self.attention(states))[:, None]  # (B, 1, hidden)
        decoded: Tensor = self.decoder(context.expand(-1, states.shape[1], -1))[0]
        return decoded


def attended(states: Tensor, scores: Tensor) -> Tensor:
    """Mean of (B, T, D) over T, weighted by the softmax of the scores (B, T, 1): (B, D)."""
    return (scores.softmax(1) * states).sum(1)


class Head(nn.Module):
    """An LSTM over the joint representation, pooled by attention. Source: hainow/MCTN."""

    def __init__(self, *, hidden: int) -> None:
        """Build for states of `hidden` numbers."""
        super().__init__()
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.attention = nn.Linear(hidden, 1)

    def forward(self, joint: Tensor) -> Tensor:
        """Map (B, T, hidden) to (B, hidden)."""
        states = self.lstm(joint)[0]
        return attended(states, self.attention(states).tanh())


class Translator(nn.Module):
    """MCTN of one condition: its modalities are the source, the others its targets.

    Level 1 translates the source into the first target and back, with the same encoder and decoder. Where
    there is a second target, level 2 translates level 1's states into it. The states of the last level's
    encoder are the joint representation. At test nothing but the source is read.
    """

    smallest_batch = 1

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
            hidden: units of each state.
            steps: length to which every sequence is brought.
            classifier: reads the pooled joint representation.
            translation_weight: weight of each of L_trans_1, L_cycle and L_trans_2.
            condition: the available modalities.
        """
        super().__init__()
        targets = TARGETS[condition]
        wide = {**sizes, condition: sum(sizes[m] for m in condition)}
        self.condition, self.steps, self.translation_weight = condition, steps, translation_weight
        self.inputs = nn.ModuleDict({s: nn.Linear(wide[s], hidden) for s in (condition, targets[0])})
        self.outputs = nn.ModuleDict({s: nn.Linear(hidden, wide[s]) for s in (condition, *targets)})
        self.level_1 = Translation(hidden=hidden)
        self.level_2 = Translation(hidden=hidden) if len(targets) == 2 else None
        self.head = Head(hidden=hidden)
        self.classifier = classifier
        for m in MODALITIES:
            self.register_buffer(f"mean_{m}", torch.zeros(sizes[m]))
            self.register_buffer(f"deviation_{m}", torch.ones(sizes[m]))

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks, all of which train."""
        return dict(self.named_children())

    def parts(self) -> dict[str, Part]:
        """One part: its condition picks its epoch."""
        return {"": Part((self.condition,), self.state_dict())}

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Take each feature's mean and deviation over the training frames; the sequences in these units.

        All modalities are translated in units of their deviation, so that no loss drowns another.
        """
        for m, of in x.items():
            sums = torch.zeros(2, of.frames.shape[1], dtype=torch.float64, device=of.frames.device)
            for _, group in of.by_length():
                frames = group.padded().double()  # (T, b, D), zeros behind each sequence
                sums += torch.stack([frames.sum((0, 1)), frames.square().sum((0, 1))])
            mean, square = sums / of.lengths[of.present].sum().clamp_min(1)
            deviation = (square - mean.square()).clamp_min(0).sqrt()
            getattr(self, f"mean_{m}").copy_(mean)
            varies = deviation > ROUNDING * square.sqrt()
            getattr(self, f"deviation_{m}").copy_(torch.where(varies, deviation, 1.0))
        return self.standardised(x)

    def share(self, other: "Translator") -> None:
        """Take the means and deviations of another translator."""
        for name, x in other.named_buffers():
            self.get_buffer(name).copy_(x)

    def standardised(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Modality to (B, steps, D_m), in units of deviation; all zero where it is missing."""
        return {m: self._standardised(m, of) for m, of in x.items()}

    def _standardised(self, m: str, of: Sequences) -> Tensor:
        z = (binned(of, self.steps) - self.get_buffer(f"mean_{m}")) / self.get_buffer(f"deviation_{m}")
        return z if of.present.all() else z * sent(of.present, z)[:, None, None]

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + translation_weight (L_trans_1 + L_cycle + L_trans_2), the last where there is one.

        What `prepare` gave is read, and no frame.

        Source:
            hainow/MCTN: weights 0.1 and mean squared errors; level 2 has no cycle.
        """
        mse = nn.functional.mse_loss
        source, (target, *second) = self.condition, TARGETS[self.condition]
        x = {s: _joined(batch.targets, s) for s in (source, target, *second)}
        joint = self.level_1.encode(self.inputs[source](x[source]))
        there = self.outputs[target](self.level_1.decode(joint))
        back = self.outputs[source](self.level_1.decode(self.level_1.encode(self.inputs[target](there))))
        terms = {"L_trans_1": mse(there, x[target]), "L_cycle": mse(back, x[source])}
        if self.level_2 is not None:
            joint = self.level_2.encode(joint)
            on = self.outputs[second[0]](self.level_2.decode(joint))
            terms["L_trans_2"] = mse(on, x[second[0]])
        L_cls = nn.functional.cross_entropy(self.classifier(self.head(joint)), batch.y)
        L = L_cls + self.translation_weight * torch.stack(list(terms.values())).sum()
        return {"L": L, "L_cls": L_cls, **terms}

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """The pooled joint representation (B, hidden), from the source alone."""
        return self.read(self.standardised({m: x[m] for m in self.condition}))

    def read(self, z: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same of sequences in units of deviation."""
        joint = self.level_1.encode(self.inputs[self.condition](_joined(z, self.condition)))
        if self.level_2 is not None:
            joint = self.level_2.encode(joint)
        return {"joint": self.head(joint)}

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in its own condition; others are left out."""
        O = self.classifier(encoded["joint"])  # noqa: E741 - the paper's letter for the logits
        return {c: Prediction(O, None) for c in conditions if c == self.condition}

    def vital(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The pooled joint representation."""
        return dict(encoded)


def _joined(z: Mapping[str, Tensor], modalities: str) -> Tensor:
    """(B, steps, sum of D_m)."""
    return torch.cat([z[m] for m in modalities], dim=2) if len(modalities) > 1 else z[modalities]


class MCTN(PerCondition[Translator]):
    """The six translators, which read the same sequences of one length: these are made once for all."""

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """As each translator would; what belongs to no condition is for all."""
        (_, first), *others = self.by_condition()
        z = first.prepare(x)
        for _, other in others:
            other.share(first)
        return z

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Each condition's features, from its own translator and its own modalities."""
        (_, first), *_ = self.by_condition()
        z = first.standardised(x)
        features = named({c: translator.read(z) for c, translator in self.by_condition()})
        return {**features, PRESENT: present(x)}


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
    """Build the translator of one condition, drawn from the global generator.

    Arguments as in Translator and Classifier.
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

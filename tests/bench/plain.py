"""A plain training loop: a baseline for speed and, with masks, a reference for results.

It works like the published code. Utterances are read one at a time from a dictionary, scaled, and padded to
the longest of the batch. Every modality of every utterance is encoded, and multiplied by 0 if it is missing.
The teacher encodes twice in each step. TextCNN is Conv2d over the full width. Validation and test contain
every utterance six times. Losses, cascade and classifier are the project's modules and cost the same here.

With `masked`, padding and missing modalities are treated as in our training loop (the engine), and losses and
gradients are equal (tests/unit/test_plain.py).
"""

from copy import deepcopy

import numpy as np
import torch
from torch import nn

from ifmmin.core.terms import CONDITIONS, MODALITIES, availability
from ifmmin.nn.encoders import concatenated
from ifmmin.nn.invariant_pretraining import InvariantPretraining
from ifmmin.nn.losses import cmd_loss, feature_distance
from ifmmin.nn.mmin import MMIN, imagine
from ifmmin.nn.per_condition import PerCondition
from ifmmin.systems.mctn import TARGETS, attention_pool


class PlainLSTM(nn.Module):
    """nn.LSTM over the padded batch, then the maximum over all steps, or over the valid ones."""

    fewest = 1

    def __init__(self, encoder):
        """Copy the weights of an encoder."""
        super().__init__()
        self.lstm = deepcopy(encoder.lstm)
        self.lstm.batch_first = True

    def forward(self, x, lengths=None):
        """Map (B, T, D) to (B, hidden)."""
        states = self.lstm(x)[0]
        if lengths is not None:
            behind = torch.arange(x.shape[1])[None] >= lengths[:, None]
            states = states.masked_fill(behind[..., None], -torch.inf)
        return states.amax(1)


class PlainTextCNN(nn.Module):
    """Conv2d of the full width over (B, 1, T, D), as in the published code."""

    def __init__(self, encoder):
        """Copy the weights of an encoder."""
        super().__init__()
        self.convolutions = nn.ModuleList()
        for convolution in encoder.convolutions:
            filters, size, k = convolution.weight.shape
            plain = nn.Conv2d(1, filters, (k, size))
            plain.weight.data = convolution.weight.data.transpose(1, 2)[:, None].clone()
            plain.bias.data = convolution.bias.data.clone()
            self.convolutions.append(plain)
        self.fewest = max(convolution.kernel_size[0] for convolution in encoder.convolutions)
        self.dropout = deepcopy(encoder.dropout)
        self.projection = deepcopy(encoder.projection)

    def forward(self, x, lengths=None):
        """Map (B, T, D) to (B, hidden)."""
        x = nn.functional.pad(x, (0, 0, 0, max(0, self.fewest - x.shape[1])))
        pooled = []
        for convolution in self.convolutions:
            responses = convolution(x[:, None]).squeeze(3)  # (B, filters, windows)
            if lengths is not None:
                windows = (lengths - convolution.kernel_size[0] + 1).clamp_min(1)
                behind = torch.arange(responses.shape[2])[None] >= windows[:, None]
                responses = responses.masked_fill(behind[:, None], -torch.inf)
            pooled.append(responses.relu().amax(2))
        return self.projection(self.dropout(torch.cat(pooled, 1))).relu()


class PlainEncoders(nn.Module):
    """The three encoders for padded batches, and the project's Enc'."""

    def __init__(self, encoders):
        """Copy the weights of encoders."""
        super().__init__()
        self.of = nn.ModuleDict(
            {
                m: (PlainTextCNN if m == "t" else PlainLSTM)(encoders.specificity[m])
                for m in encoders.specificity
            }
        )
        self.invariance = deepcopy(encoders.invariance)
        self.missing_steps = encoders.missing_steps

    def forward(self, x, available, lengths=None):
        """Encode everything, multiplied by 0 if it is missing.

        Args:
            x: modality to (B, T, D).
            available: (B, 3) float.
            lengths: modality to (B,). If None, padding is read, and placeholders are as long as the batch.
        """
        h_m = {}
        for i, m in enumerate(MODALITIES):
            if lengths is None:
                h_m[m] = self.of[m](x[m] * available[:, i, None, None])
            else:
                encoded = self.of[m](x[m], lengths[m])
                steps = max(self.missing_steps[m], self.of[m].fewest)
                placeholder = self.of[m](x[m].new_zeros(1, steps, x[m].shape[2]))
                h_m[m] = torch.where(available[:, i : i + 1] > 0, encoded, placeholder)
        return h_m

    def invariant(self, h_m):
        """Map h_m to H_m."""
        return {m: self.invariance(h) for m, h in h_m.items()}


class Plain(nn.Module):
    """The plain form of a system of the IF-MMIN or MMIN family, or of a pretraining."""

    def __init__(self, system, *, masked=False):
        """Copy the weights of a system; the teacher is a frozen copy of the encoders."""
        super().__init__()
        self.encoders = PlainEncoders(system.encoders)
        self.teacher = deepcopy(self.encoders).eval().requires_grad_(False)
        self.rest = deepcopy(system)
        del self.rest.encoders
        self.masked = masked
        self.conditions = CONDITIONS

    def networks(self):
        """The sub-networks whose gradients are clipped separately."""
        named = {f"enc_{m}": encoder for m, encoder in self.encoders.of.items()}
        if self.encoders.invariance is not None:
            named["enc_inv"] = self.encoders.invariance
        return named | dict(self.rest.named_children())

    def losses(self, x, lengths, available, y):
        """The losses of one batch, as the engine's `training_losses`."""
        known = lengths if self.masked else None
        if not hasattr(self.rest, "imagination"):
            return self._pretraining(x, known, y)
        there = available.float()
        h_m = self.encoders(x, there, known)
        h = concatenated(h_m)
        with torch.no_grad():
            full = self.teacher(x, torch.ones_like(there), known)
            target = concatenated(self.teacher(x, 1 - there, known))
        if isinstance(self.rest, MMIN):
            return self._mmin(h, target, y)
        H_prime = concatenated(self.encoders.invariant(h_m))
        imagined = self.rest.imagination(h, H_prime)
        L_cls = nn.functional.cross_entropy(self.rest.classifier(imagined.C), y)
        L_img = feature_distance(imagined.h_prime, target, self.rest.distance)
        L_inv = feature_distance(H_prime, concatenated(self.teacher.invariant(full)), self.rest.distance)
        return L_cls + self.rest.lambda1 * L_img + self.rest.lambda2 * L_inv

    def _mmin(self, h, target, y):
        imagined = imagine(self.rest.imagination, h)
        L = nn.functional.cross_entropy(self.rest.classifier(imagined.C), y)
        L = L + self.rest.img_weight * feature_distance(imagined.h_prime, target, self.rest.distance)
        if self.rest.cycle is not None:
            back = imagine(self.rest.cycle, imagined.h_prime).h_prime
            L = L + self.rest.cycle_weight * feature_distance(back, h.detach(), self.rest.distance)
        return L

    def _pretraining(self, x, lengths, y):
        h_m = self.encoders(x, torch.ones(len(y), 3, device=y.device), lengths)
        if not isinstance(self.rest, InvariantPretraining):
            return nn.functional.cross_entropy(self.rest.classifier(concatenated(h_m)), y)
        H_m = self.encoders.invariant(h_m)
        logits = self.rest.classifier(torch.cat([concatenated(h_m), concatenated(H_m)], 1))
        return nn.functional.cross_entropy(logits, y) + self.rest.cmd_weight * cmd_loss(H_m, self.rest.K)

    def logits(self, x, lengths, available):
        """Logits of one batch under its masks."""
        h_m = self.encoders(x, available.float(), lengths if self.masked else None)
        h = concatenated(h_m)
        if not hasattr(self.rest, "imagination"):
            if self.encoders.invariance is not None:
                h = torch.cat([h, concatenated(self.encoders.invariant(h_m))], 1)
            return self.rest.classifier(h)
        if isinstance(self.rest, MMIN):
            return self.rest.classifier(imagine(self.rest.imagination, h).C)
        return self.rest.classifier(self.rest.imagination(h, concatenated(self.encoders.invariant(h_m))).C)


class PlainTranslator(nn.Module):
    """The plain form of MCTN for one condition: binned by utterance, decoded step by step."""

    def __init__(self, translator):
        """Copy the weights of a translator."""
        super().__init__()
        self.rest = deepcopy(translator)
        self.conditions = (translator.condition,)
        for level in (self.rest.level_1, self.rest.level_2):
            if level is not None:
                cell = nn.LSTMCell(level.decoder.input_size, level.decoder.hidden_size)
                weights = level.decoder.state_dict()
                cell.load_state_dict({name.removesuffix("_l0"): x for name, x in weights.items()})
                level.decoder = cell

    def networks(self):
        """The sub-networks whose gradients are clipped separately."""
        return self.rest.networks()

    def _sequence(self, x, lengths, modalities):
        """(B, steps, sum of D_m): the mean of the frames of each bin, utterance by utterance."""
        side_by_side = []
        for m in modalities:
            rows = [self._bins(frames[:n]) for frames, n in zip(x[m], lengths[m].tolist(), strict=True)]
            mean, std = getattr(self.rest, f"mean_{m}"), getattr(self.rest, f"deviation_{m}")
            side_by_side.append((torch.stack(rows) - mean) / std)
        return torch.cat(side_by_side, 2)

    def _bins(self, frames):
        T, steps = len(frames), self.rest.steps
        if steps > T:
            return frames[[(2 * b + 1) * T // (2 * steps) for b in range(steps)]]
        return torch.stack([frames[b * T // steps : (b + 1) * T // steps].mean(0) for b in range(steps)])

    def _decode(self, level, states):
        """As published: attention scores are recomputed in each step."""
        h = c = states.new_zeros(len(states), states.shape[2])
        steps = []
        for _ in range(states.shape[1]):
            h, c = level.decoder(attention_pool(states, level.attention(states)), (h, c))
            steps.append(h)
        return torch.stack(steps, 1)

    def losses(self, x, lengths, available, y):
        """The losses of one batch, as the engine's `training_losses`; masks are not used."""
        del available
        rest, source, targets = self.rest, self.rest.condition, TARGETS[self.rest.condition]
        z = {s: self._sequence(x, lengths, s) for s in (source, *targets)}
        joint = rest.level_1.encode(rest.inputs[source](z[source]))
        there = rest.outputs[targets[0]](self._decode(rest.level_1, joint))
        again = rest.level_1.encode(rest.inputs[targets[0]](there))
        back = rest.outputs[source](self._decode(rest.level_1, again))
        mse = nn.functional.mse_loss
        translations = mse(there, z[targets[0]]) + mse(back, z[source])
        if rest.level_2 is not None:
            joint = rest.level_2.encode(joint)
            on = rest.outputs[targets[1]](self._decode(rest.level_2, joint))
            translations = translations + mse(on, z[targets[1]])
        L_cls = nn.functional.cross_entropy(rest.classifier(rest.head(joint)), y)
        return L_cls + rest.translation_weight * translations

    def logits(self, x, lengths, available):
        """Logits of one batch."""
        del available
        source = self.rest.condition
        joint = self.rest.level_1.encode(self.rest.inputs[source](self._sequence(x, lengths, source)))
        if self.rest.level_2 is not None:
            joint = self.rest.level_2.encode(joint)
        return self.rest.classifier(self.rest.head(joint))


def forms(system):
    """The networks that are trained separately: MCTN's translators, otherwise the system."""
    if isinstance(system, PerCondition):
        return [PlainTranslator(member) for _, member in system.by_condition()]
    return [Plain(system)]


class Items:
    """Utterances in a dictionary, scaled and collated one at a time."""

    def __init__(self, arrays, labels, mean, std, device="cpu"):
        """Keep the data: modality to a list of (T, D) arrays, labels, and the acoustic scaling."""
        self.arrays, self.labels, self.mean, self.std = arrays, labels, mean, std
        self.device = device

    def batch(self, rows):
        """Return x (modality to zero-padded (B, T, D)), lengths and y."""
        x, lengths = {}, {}
        for m in MODALITIES:
            sequences = [self.arrays[m][i] for i in rows]
            if m == "a":
                sequences = [(frames - self.mean) / self.std for frames in sequences]
            sequences = [torch.from_numpy(np.array(frames, np.float32)) for frames in sequences]
            lengths[m] = torch.tensor([len(frames) for frames in sequences])
            x[m] = nn.utils.rnn.pad_sequence(sequences, batch_first=True).to(self.device)
        return x, lengths, torch.tensor([self.labels[i] for i in rows]).to(self.device)


def train(plain, items, rows, masks, optimiser, clip, size=128):
    """Train one epoch over rows, in this order and with these masks."""
    plain.train()
    if hasattr(plain, "teacher"):
        plain.teacher.eval()
    for start in range(0, len(rows), size):
        x, lengths, y = items.batch(rows[start : start + size])
        L = plain.losses(x, lengths, masks[start : start + size].to(y.device), y)
        optimiser.zero_grad()
        L.backward()
        for network in plain.networks().values():
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimiser.step()
        L.item()


def evaluate(plain, items, rows, size=128):
    """Logits of every utterance in every condition, encoded separately."""
    plain.eval()
    work = [(row, condition) for condition in plain.conditions for row in rows]
    logits = []
    with torch.no_grad():
        for start in range(0, len(work), size):
            batch = work[start : start + size]
            x, lengths, y = items.batch([row for row, _ in batch])
            masks = torch.tensor([availability(condition) for _, condition in batch]).to(y.device)
            logits.append(plain.logits(x, lengths, masks))
    return torch.cat(logits)

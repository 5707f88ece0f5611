"""The benchmark's plain loop, with masking, has the library's losses and gradients at dropout 0."""

import pytest
import torch

from bench import plain
from conftest import ENCODERS, SIZES
from ifmmin.core.terms import CONDITIONS
from ifmmin.nn import fusion
from ifmmin.nn import invariant_pretraining as invariant
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.protocol import Batch
from ifmmin.systems import if_mmin, if_mmin_no_cascade, mctn, mmin, mmin_no_cycle

HEAD = {"n_classes": 4, "classifier": [7], "dropout": 0.0}
CASCADE = {"M": 2, "autoencoder": [6, 4], "distance": "rmse"}
INV = {"invariant_input": "own", "inv_modalities": "all", "inv_text_dropout": True}
FORMS = {"residual_output": False, "transition": True, "lambda1": 1.0, "lambda2": 10.0, **INV}
CMD = {"cmd_weight": 0.5, "cmd_warmup": 0, "cmd_form": "plain", "cmd_memory": 0, "smallest_batch": 2, "K": 5}
SETTINGS = ENCODERS | {"text_dropout": 0.0, "invariance_dropout": 0.0}
SPECIFIC = {name: x for name, x in SETTINGS.items() if not name.startswith("invariance")}

BUILDS = {
    "if_mmin": lambda: if_mmin.build(
        encoders=Encoders(**SETTINGS), **HEAD, **CASCADE, **FORMS, cascade="every"
    ),
    "if_mmin_no_cascade": lambda: if_mmin_no_cascade.build(
        encoders=Encoders(**SETTINGS), **HEAD, **CASCADE, **FORMS
    ),
    "mmin": lambda: mmin.build(
        encoders=Encoders(**SPECIFIC), **HEAD, **CASCADE, img_weight=4.0, cycle_weight=2.0
    ),
    "mmin_no_cycle": lambda: mmin_no_cycle.build(
        encoders=Encoders(**SPECIFIC), **HEAD, **CASCADE, img_weight=4.0
    ),
    "invariant": lambda: invariant.build(**SETTINGS, **HEAD, **CMD),
    "fusion": lambda: fusion.build(**SPECIFIC, **HEAD),
}


def library_name(name):
    """The library's name for a parameter of the plain form."""
    if name.startswith("encoders.of."):
        return name.replace("encoders.of.", "encoders.specificity.")
    return name.removeprefix("rest.")


@pytest.mark.parametrize("name", BUILDS)
def test_losses_and_gradients_agree_with_the_masked_plain_loop(name, corpus):
    """The plain loop pads, encodes everything, multiplies by masks and keeps a copy as teacher."""
    torch.manual_seed(3)
    system = BUILDS[name]()
    baseline = plain.Plain(system, masked=True)
    rows = corpus.rows["train"]
    x = corpus.select(rows)
    # The plain form passes the zero placeholder through the masked encoder; its length is fixed in both.
    targets = {key: value.detach() for key, value in system.eval().precompute_targets(x).items()}
    masks = torch.tensor([[True, False, False], [False, True, True], [False, False, True]])
    available = masks[torch.arange(len(rows)) % 3]
    with torch.no_grad():  # move the student away from its teacher
        for p, q in zip(system.parameters(), plain_parameters(baseline, system), strict=True):
            p += 0.05 * torch.randn_like(p)
            q.copy_(p if q.shape == p.shape else p.transpose(1, 2)[:, None])

    L = system.train().training_losses(Batch(x, available, corpus.y[rows], targets, 1))["L"]
    L.backward()
    padded = {m: s.padded(at_least=5).transpose(0, 1) for m, s in x.items()}
    lengths = {m: s.lengths for m, s in x.items()}
    reference = baseline.train().losses(padded, lengths, available, corpus.y[rows])
    reference.backward()

    torch.testing.assert_close(L, reference, rtol=1e-5, atol=1e-5)
    for p, q in zip(system.parameters(), plain_parameters(baseline, system), strict=True):
        want = q.grad if q.shape == p.shape else q.grad[:, 0].transpose(1, 2)
        torch.testing.assert_close(p.grad, want, rtol=1e-4, atol=1e-5)


def plain_parameters(baseline, system):
    """Parameters of the plain form in the library's order."""
    named = {library_name(name): p for name, p in baseline.named_parameters() if "teacher" not in name}
    return [named[name] for name, _ in system.named_parameters()]


def test_the_plain_loop_reads_padding_unless_it_is_masked(corpus):
    """As in the published code, a prediction then depends on the rest of the batch."""
    torch.manual_seed(3)
    x = corpus.select(corpus.rows["train"])
    padded = {m: s.padded(at_least=9).transpose(0, 1) for m, s in x.items()}
    longer = {m: torch.cat([p, torch.zeros(len(p), 4, SIZES[m])], 1) for m, p in padded.items()}
    lengths = {m: s.lengths for m, s in x.items()}
    available = torch.ones(len(lengths["a"]), 3, dtype=torch.bool)

    for masked in (True, False):
        baseline = plain.Plain(BUILDS["fusion"](), masked=masked).eval()
        same = torch.allclose(
            baseline.logits(padded, lengths, available),
            baseline.logits(longer, lengths, available),
            atol=1e-6,
        )
        assert same == masked


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_translator_agrees_with_its_plain_form(condition, corpus):
    """Losses, gradients, logits. The plain form bins by utterance and decodes with attention at each step."""
    torch.manual_seed(3)
    settings = {"sizes": SIZES, "hidden": 6, "steps": 4, "translation_weight": 0.5}
    system = mctn.translator(**settings, **HEAD, condition=condition)
    rows = corpus.rows["train"]
    x, y = corpus.select(rows), corpus.y[rows]
    targets = system.precompute_targets(x)
    baseline = plain.PlainTranslator(system)
    masks = torch.ones(len(rows), 3, dtype=torch.bool)
    padded = {m: s.padded().transpose(0, 1) for m, s in x.items()}
    lengths = {m: s.lengths for m, s in x.items()}

    L = system.training_losses(Batch(x, masks, y, targets, 1))["L"]
    L.backward()
    reference = baseline.losses(padded, lengths, masks, y)
    reference.backward()

    torch.testing.assert_close(L, reference, rtol=1e-5, atol=1e-6)
    want = {name.removeprefix("rest."): p.grad for name, p in baseline.named_parameters()}
    for name, p in system.named_parameters():
        plain_name = name.removesuffix("_l0") if ".decoder." in name else name
        torch.testing.assert_close(p.grad, want[plain_name], rtol=1e-4, atol=1e-6)
    O = system.predict(system.encode(x), [condition])[condition].O
    torch.testing.assert_close(O, baseline.logits(padded, lengths, masks), rtol=1e-5, atol=1e-6)

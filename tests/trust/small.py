"""Small builds of every system and kind of pretraining; new files are included automatically."""

import inspect

import torch

from conftest import ENCODERS, ROOT, SIZES, SYSTEM
from ifmmin import systems
from ifmmin.core.loading import load
from ifmmin.nn.protocol import Batch

SETTINGS = {
    **SYSTEM,
    **ENCODERS,
    "invariance_activation": "tanh",
    "img_weight": 4.0,
    "cycle_weight": 2.0,
    "steps": 3,
    "translation_weight": 0.3,
    "cmd_weight": 0.1,
    "cmd_warmup": 0,
    "cmd_form": "plain",
    "cmd_memory": 0,
    "smallest_batch": 2,
    "K": 5,
}


def names(room):
    return sorted(p.stem for p in (ROOT / "ifmmin" / room).glob("*.py") if p.stem != "__init__")


SYSTEMS, PRETRAININGS = names("systems"), names("pretraining")
ALL = SYSTEMS + PRETRAININGS


def config(name, **changes):
    """Settings for a build: its keyword arguments without defaults."""
    room = "pretraining" if name in PRETRAININGS else "systems"
    parameters = inspect.signature(load(room, name).build).parameters.values()
    excluded = ("condition", "encoders", "n_classes", "sizes")
    read = [p.name for p in parameters if p.default is p.empty and p.name not in excluded]
    return {key: {**SETTINGS, **changes}[key] for key in read}


def pretraining(kind, seed=0, sizes=SIZES, n_classes=4, **changes):
    torch.manual_seed(seed)
    return load("pretraining", kind).build(sizes=sizes, n_classes=n_classes, **config(kind, **changes))


def system(name, seed=0, sizes=SIZES, n_classes=4, encoders=None, **changes):
    """Build a system, by default on untrained encoders."""
    kind = load("systems", name).PRETRAINING
    start = {"n_classes": n_classes, "sizes": sizes}
    if kind:
        encoders = encoders or pretraining(kind, seed, sizes, **changes).encoders
        start = {"n_classes": n_classes, "encoders": encoders.settings}
    torch.manual_seed(seed)
    pretrained = encoders and encoders.state_dict()
    return systems.build(name, start=start, build=config(name, **changes), pretrained=pretrained)


def network(name, **options):
    return pretraining(name, **options) if name in PRETRAININGS else system(name, **options)


def batch_of(network, corpus, rows, available):
    """A training batch of these utterances and masks, as the loop makes it."""
    x = corpus.select(rows)
    network.eval()
    with torch.no_grad():
        targets = network.precompute_targets(x)
    network.train()
    return Batch(x, available, corpus.y[rows], targets, epoch=1)


def distinct(network, seed=5, scale=0.3):
    """Redraw all weights and biases, so that none is zero and no ReLU input is exactly 0."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(scale * torch.randn(p.shape, generator=draw, dtype=p.dtype))
    return network

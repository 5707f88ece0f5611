"""IF-IM and the classifier: values against plain numpy, and shapes."""

import numpy as np
import pytest
import torch

from ifmmin.nn.classifier import Classifier
from ifmmin.nn.imagination import Autoencoder, Imagination


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(layer, x):
    return x @ layer.weight.detach().numpy().astype(np.float64).T + layer.bias.detach().numpy()


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def autoencoder(module, u):
    """Two encoder layers with LeakyReLU between them, two decoder layers with ReLU between them."""
    code = linear(module.encoder[2], leaky(linear(module.encoder[0], u)))
    return code, linear(module.decoder[2], np.maximum(linear(module.decoder[0], code), 0))


def close(got, expected):
    """Float32 against float64, numbers of about 1."""
    torch.testing.assert_close(got.detach().double(), torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_an_autoencoder_returns_its_code_and_its_output():
    module, u = Autoencoder(size=6, layers=[5, 3]), numbers(4, 6)

    code, delta_z = module(u)

    expected = autoencoder(module, u.numpy().astype(np.float64))
    close(code, expected[0])
    close(delta_z, expected[1])
    assert code.shape == (4, 3)
    assert delta_z.shape == (4, 6)


def inputs(cascade, h, H, outputs, us, i):
    """Input of autoencoder i (from 1), by the table in the module's docstring."""
    if i == 1:
        return h + H
    return {
        "every": lambda: outputs[-1] + H,
        "first": lambda: outputs[-1],
        "if22": lambda: h + i * H,
        "residual": lambda: us[-1] + outputs[-1],
    }[cascade]()


@pytest.mark.parametrize("cascade", ["every", "first", "if22", "residual"])
@pytest.mark.parametrize("residual_output", [False, True], ids=["plain", "residual output"])
@pytest.mark.parametrize("transition", [False, True], ids=["no transition", "transition"])
def test_the_cascade_follows_its_formula(cascade, residual_output, transition):
    module = Imagination(
        size=6,
        layers=[5, 3],
        M=3,
        cascade=cascade,
        residual_output=residual_output,
        transition=transition,
    )
    h, H_prime = numbers(4, 6, seed=1), numbers(4, 6, seed=2)

    imagined = module(h, H_prime)

    h, H = h.numpy().astype(np.float64), H_prime.numpy().astype(np.float64)
    us, outputs, codes = [], [], []
    for i in (1, 2, 3):
        us.append(inputs(cascade, h, H, outputs, us, i))
        code, delta_z = autoencoder(module.omega[i - 1], us[-1])
        codes.append(code)
        outputs.append(delta_z)
    expected = outputs[-1] + us[-1] if residual_output else outputs[-1]
    if transition:
        expected = linear(module.transition[2], np.maximum(linear(module.transition[0], expected), 0))
    close(imagined.h_prime, expected)
    close(imagined.C, np.concatenate(codes, 1))
    assert imagined.C.shape == (4, 9)


def test_an_unknown_cascade_is_refused():
    with pytest.raises(ValueError, match="cascade is 'all'; expected every, first, if22 or residual"):
        Imagination(size=6, layers=[3], M=2, cascade="all", residual_output=False, transition=False)


def test_the_classifier_is_linear_layers_with_relu_between_them():
    module, x = Classifier(size=6, layers=[5, 4], n_classes=3, dropout=0.5).eval(), numbers(7, 6)

    O = module(x)

    expected = x.numpy().astype(np.float64)
    for layer in (module.hidden[0], module.hidden[3]):
        expected = np.maximum(linear(layer, expected), 0)
    close(O, linear(module.out, expected))
    assert O.shape == (7, 3)


def test_the_classifier_uses_dropout_only_in_training():
    module, x = Classifier(size=6, layers=[64], n_classes=3, dropout=0.5), numbers(2, 6)
    torch.manual_seed(0)

    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))

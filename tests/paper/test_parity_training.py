"""Parity of whole networks: outputs, losses, gradients, one clipped Adam step (fixtures g0, g, h and h2)."""

import numpy as np
import pytest
import torch

from ifmmin.nn import if_mmin
from ifmmin.nn import invariant_pretraining as invariant
from ifmmin.nn import mmin as mmin_network
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.imagination import reversed_target
from ifmmin.nn.protocol import Batch
from ifmmin.nn.sequences import from_padded
from ifmmin.systems import mmin, mmin_no_cycle
from ifmmin.training import loop
from paper import reference
from paper.reference import check, order, ours, tensor

each_dtype = pytest.mark.parametrize(("dtype", "tolerance"), reference.DTYPES, ids=["float32", "float64"])
NETWORKS = {"cls": "classifier", "ae": "imagination", "ae_cycle": "cycle"}


def encoder_settings(fixture, prefix):
    inputs = {m: fixture[f"input.{m}"].shape for m in "avt"}
    return {
        "sizes": {m: shape[2] for m, shape in inputs.items()},
        "missing_steps": {m: shape[1] for m, shape in inputs.items()},
        "hidden": len(fixture[f"{prefix}enc_t.proj.bias"]),
        "kernel_heights": [3, 4, 5],
        "filters": len(fixture[f"{prefix}enc_t.conv3.bias"]),
        "text_dropout": 0.5,
    }


INVARIANCE = {"invariance_depth": 2, "invariance_activation": "leaky_relu", "invariance_dropout": 0.0}


def hidden_layers(fixture, prefix):
    return [len(fixture[f"{prefix}cls.{j}.bias"]) for j in range(2)]


def sequences(fixture, dtype):
    return {m: from_padded(tensor(fixture[f"input.{m}"], dtype)) for m in "avt"}


def batch_of(fixture, dtype, targets):
    return Batch(
        x=sequences(fixture, dtype),
        available=torch.tensor(fixture["available"]).bool(),
        y=torch.tensor(fixture["labels"]),
        targets=targets,
        epoch=1,
    )


def check_step(network, L, fixture, *, beta1, clip, tolerance, named=ours):
    """Gradients, their norms by sub-network, and every parameter after one clipped Adam step."""
    settings = loop.Settings(
        epochs_constant=1,
        epochs_decay=0,
        batch=8,
        lr=2e-4,
        beta1=beta1,
        clip=clip,
        on_collapse="stop",
        threads=1,
    )
    L.backward(retain_graph=True)
    parameters = dict(network.named_parameters())
    for name, module in network.networks().items():
        norm = torch.stack([p.grad.norm() for p in module.parameters()]).norm()
        reference_name = {ours_: theirs for theirs, ours_ in NETWORKS.items()}.get(name, name)
        check(norm, fixture[f"grad_norm.{reference_name}"], tolerance, f"grad_norm.{name}")
    compared = 0
    for key in [key.removeprefix("grad.") for key in fixture if key.startswith("grad.")]:
        name, want = named(key, fixture[f"grad.{key}"])
        check(parameters[name].grad, want, tolerance, f"grad.{key}")
    loop.step(network, L, loop.adam(network, settings), clip)
    for key in [key.removeprefix("after_step.") for key in fixture if key.startswith("after_step.")]:
        name, want = named(key, fixture[f"after_step.{key}"])
        moved = np.abs(named(key, fixture[f"grad.{key}"])[1]) > 1e-6
        check(parameters[name].detach().numpy()[moved], want[moved], tolerance, f"after_step.{key}")
        compared += int(moved.sum())
    assert compared > 100


def pretraining_parameter(key, array):
    """Convert a parameter of pretraining, whose classifier reads [h, H], to our name and order."""
    name, value = ours(key, array)
    if key == "cls.0.weight":
        half = array.shape[1] // 2
        return name, value[:, np.r_[order(half), half + order(half)]]
    return name, value


@each_dtype
def test_parity_invariant_pretraining(dtype, tolerance):
    fixture = reference.load("g0_pretrain_invariant.npz")
    network = invariant.build(
        **encoder_settings(fixture, ""),
        **INVARIANCE,
        n_classes=len(fixture["cls.out.bias"]),
        classifier=hidden_layers(fixture, ""),
        dropout=0.3,
        cmd_weight=1.0,
        cmd_warmup=0,
        cmd_form="plain",
        cmd_memory=0,
        smallest_batch=2,
        K=5,
    )
    named = dict(
        pretraining_parameter(key, array)
        for key, array in fixture.items()
        if key.startswith(("enc_", "cls."))
    )
    reference.fill(network, named, dtype).eval()
    batch = batch_of(fixture, dtype, {})

    h_m = network.encoders.encode(batch.x)
    losses = network.training_losses(batch)

    columns = order(fixture["h"].shape[1])
    check(concatenated(h_m), fixture["h"][:, columns], tolerance, "h")
    check(concatenated(network.encoders.invariant(h_m)), fixture["H"][:, columns], tolerance, "H")
    check(network.predict(network.encode(batch.x), ["avt"])["avt"].O, fixture["logits"], tolerance, "logits")
    for ours_, theirs in (("L_cls", "ce"), ("L_cmd", "cmd"), ("L", "total")):
        check(losses[ours_], fixture[f"loss.{theirs}"], tolerance, f"loss.{theirs}")
    check_step(
        network, losses["L"], fixture, beta1=0.9, clip=0.5, tolerance=tolerance, named=pretraining_parameter
    )


def student(fixture, dtype, form):
    """IF-MMIN of the fixture and its batch."""
    network = if_mmin.build(
        encoders=Encoders(**encoder_settings(fixture, "student."), **INVARIANCE),
        **sizes_of_student(fixture),
        lambda1=1.0,
        lambda2=100.0,
        cascade="every",
        residual_output=False,
        transition=True,
        distance=form,
        invariant_input="own",
        inv_modalities="all",
        inv_text_dropout=True,
    )
    return with_teacher_targets(network, fixture, dtype)


def sizes_of_student(fixture):
    """Settings that IF-MMIN and MMIN share."""
    return {
        "n_classes": len(fixture["student.cls.out.bias"]),
        "M": len({key.split(".")[2] for key in fixture if key.startswith("student.ae.block")}),
        "autoencoder": [len(fixture[f"student.ae.block0.enc.{j}.bias"]) for j in range(3)],
        "classifier": hidden_layers(fixture, "student."),
        "dropout": 0.5,
    }


def with_teacher_targets(network, fixture, dtype):
    """Compute the teacher's targets, then load the student's weights; return network and batch."""
    teacher = {
        name.removeprefix("encoders."): array
        for name, array in reference.parameters(fixture, "teacher.").items()
        if name.startswith("encoders.")
    }
    reference.fill(network.encoders, teacher, dtype).eval()
    with torch.no_grad():
        targets = network.precompute_targets(sequences(fixture, dtype))
    reference.fill(network, reference.parameters(fixture, "student."), dtype).eval()
    return network, batch_of(fixture, dtype, targets)


@each_dtype
def test_parity_if_mmin_features_and_logits(dtype, tolerance):
    fixture = reference.load("g_ifmmin_full.npz")
    network, batch = student(fixture, dtype, "mse")
    columns = order(fixture["h"].shape[1])

    h_m = network.encoders.encode(batch.x, batch.available)
    H_prime = concatenated(network.encoders.invariant(h_m))
    imagined = network.imagination(concatenated(h_m), H_prime)
    h_target = reversed_target(batch.available, batch.targets["h"], batch.targets["h_missing"])

    check(concatenated(h_m), fixture["h"][:, columns], tolerance, "h")
    check(h_target, fixture["target"][:, columns], tolerance, "target")
    check(H_prime, fixture["H_pred"][:, columns], tolerance, "H_pred")
    check(batch.targets["H"], fixture["H_target"][:, columns], tolerance, "H_target")
    check(imagined.h_prime, fixture["recon"][:, columns], tolerance, "recon")
    check(imagined.C, fixture["codes"], tolerance, "codes")
    check(network.classifier(imagined.C), fixture["logits"], tolerance, "logits")


@each_dtype
def test_parity_if_mmin_prediction_from_features_encoded_once(dtype, tolerance):
    """Encoding each modality once and recombining gives the logits of the masked input."""
    fixture = reference.load("g_ifmmin_full.npz")
    network, batch = student(fixture, dtype, "mse")
    condition = [
        "".join(m for m, there in zip("avt", row, strict=True) if there) for row in fixture["available"]
    ]

    predicted = network.predict(network.encode(batch.x), sorted(set(condition)))
    O = torch.stack([predicted[c].O[i] for i, c in enumerate(condition)])

    check(O, fixture["logits"], tolerance, "logits")


@each_dtype
@pytest.mark.parametrize("form", ["mse", "rmse"])
def test_parity_if_mmin_losses(dtype, tolerance, form):
    fixture = reference.load("g_ifmmin_full.npz")
    network, batch = student(fixture, dtype, form)

    losses = network.training_losses(batch)

    check(losses["L_cls"], fixture["loss.ce"], tolerance, "ce")
    check(losses["L_img"], fixture[f"loss.img_{form}"], tolerance, "img")
    check(losses["L_inv"], fixture[f"loss.inv_{form}"], tolerance, "inv")
    check(losses["L"], fixture["loss.total" if form == "mse" else "rmse.total"], tolerance, "total")


@each_dtype
def test_parity_if_mmin_gradients_and_step(dtype, tolerance):
    fixture = reference.load("g_ifmmin_full.npz")
    network, batch = student(fixture, dtype, "mse")

    check_step(
        network, network.training_losses(batch)["L"], fixture, beta1=0.5, clip=1.0, tolerance=tolerance
    )


@each_dtype
def test_parity_if_mmin_gradients_of_the_papers_rmse(dtype, tolerance):
    fixture = reference.load("g_ifmmin_full.npz")
    network, batch = student(fixture, dtype, "rmse")
    parameters = dict(network.named_parameters())

    network.training_losses(batch)["L"].backward()

    keys = [key.removeprefix("rmse.grad.") for key in fixture if key.startswith("rmse.grad.")]
    assert keys
    for key in keys:
        name, want = ours(key, fixture[f"rmse.grad.{key}"])
        check(parameters[name].grad, want, tolerance, f"rmse.grad.{key}")


SYSTEMS = {"h_mmin_full.npz": (mmin, {"cycle_weight": 2.0}), "h2_mmin_no_cycle_full.npz": (mmin_no_cycle, {})}
each_mmin = pytest.mark.parametrize("name", SYSTEMS, ids=["mmin", "mmin_no_cycle"])


def mmin_student(name, dtype):
    """Fixture, network and batch of MMIN or MMIN without cycle."""
    fixture = reference.load(name)
    system, options = SYSTEMS[name]
    network = system.build(
        encoders=Encoders(**encoder_settings(fixture, "student.")),
        **sizes_of_student(fixture),
        distance="mse",
        img_weight=4.0,
        **options,
    )
    return fixture, *with_teacher_targets(network, fixture, dtype)


@each_dtype
@each_mmin
def test_parity_mmin_features_and_logits(dtype, tolerance, name):
    fixture, network, batch = mmin_student(name, dtype)
    columns = order(fixture["h"].shape[1])

    h = concatenated(network.encoders.encode(batch.x, batch.available))
    imagined = mmin_network.imagine(network.imagination, h)
    h_target = reversed_target(batch.available, batch.targets["h"], batch.targets["h_missing"])

    check(h, fixture["h"][:, columns], tolerance, "h")
    check(h_target, fixture["target"][:, columns], tolerance, "target")
    check(imagined.h_prime, fixture["recon"][:, columns], tolerance, "recon")
    check(imagined.C, fixture["codes"], tolerance, "codes")
    check(network.classifier(imagined.C), fixture["logits"], tolerance, "logits")
    if network.cycle is not None:
        back = mmin_network.imagine(network.cycle, imagined.h_prime).h_prime
        check(back, fixture["recon_cycle"][:, columns], tolerance, "recon_cycle")


@each_dtype
@each_mmin
def test_parity_mmin_prediction_from_features_encoded_once(dtype, tolerance, name):
    fixture, network, batch = mmin_student(name, dtype)
    condition = [
        "".join(m for m, there in zip("avt", row, strict=True) if there) for row in fixture["available"]
    ]

    predicted = network.predict(network.encode(batch.x), sorted(set(condition)))
    O = torch.stack([predicted[c].O[i] for i, c in enumerate(condition)])

    check(O, fixture["logits"], tolerance, "logits")


@each_dtype
@each_mmin
def test_parity_mmin_losses(dtype, tolerance, name):
    fixture, network, batch = mmin_student(name, dtype)

    losses = network.training_losses(batch)

    assert ("L_cycle" in losses) == ("loss.cycle_mse" in fixture)
    theirs = {"L_cls": "ce", "L_img": "img_mse", "L_cycle": "cycle_mse", "L": "total"}
    for loss, value in losses.items():
        check(value, fixture[f"loss.{theirs[loss]}"], tolerance, loss)


@each_dtype
@each_mmin
def test_parity_mmin_gradients_and_step(dtype, tolerance, name):
    fixture, network, batch = mmin_student(name, dtype)

    check_step(
        network, network.training_losses(batch)["L"], fixture, beta1=0.5, clip=1.0, tolerance=tolerance
    )

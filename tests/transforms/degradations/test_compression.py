from __future__ import annotations

import io

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from cliqa.transforms.degradations import compression
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.utils.errors import DatasetError

CODECS = ["jpeg", "jpeg2000", "webp"]


def test_jpeg_is_pillows_at_the_same_quality(painted: Tensor) -> None:
    for level, quality in enumerate((85, 70, 55, 40, 25)):
        buffer = io.BytesIO()
        to_pil_image(painted).save(buffer, "JPEG", quality=quality)
        theirs = pil_to_tensor(Image.open(buffer)).int()
        ours = SyntheticDegradation("jpeg").degrade(painted, level).int()
        assert (ours - theirs).abs().float().mean() < 0.5


def test_jpeg2000_keeps_its_rate(painted: Tensor) -> None:
    codec = compression.Jpeg2000()
    buffer = io.BytesIO()
    to_pil_image(painted).save(buffer, "JPEG2000", **codec.options(16, painted.numel()))
    assert buffer.tell() == pytest.approx(painted.numel() / 16 + 200, rel=0.05)


@pytest.mark.parametrize("codec", CODECS)
def test_grey_images_stay_grey(codec: str, painted: Tensor) -> None:
    levels = SyntheticDegradation(codec)(painted[:1])
    assert {level.shape for level in levels} == {(1, 96, 96)}
    pair = torch.stack([levels[0].flatten(), painted[0].flatten()]).double()
    assert torch.corrcoef(pair)[0, 1] > 0.8


@pytest.mark.parametrize("codec", CODECS)
def test_other_channels_are_refused(codec: str) -> None:
    with pytest.raises(DatasetError, match=r"has 4 channels.*1 \(grey\) and 3 \(RGB\)"):
        SyntheticDegradation(codec)(torch.zeros(4, 16, 16))


def test_a_codec_that_pillow_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression.features, "check", lambda _: False)
    with pytest.raises(DatasetError, match="this Pillow cannot write WEBP. Install the one from"):
        SyntheticDegradation("webp")(torch.zeros(3, 16, 16))

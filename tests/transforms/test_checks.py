from __future__ import annotations

from typing import Any

import pytest

from cliqa.transforms.checks import check_order, flatten, warn_about_quality
from cliqa.utils.errors import ConfigError

TO_TENSOR = {"type": "ToTensor"}
NORMALIZE = {"type": "Normalize", "mean": [0.5] * 3, "std": [0.2] * 3}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([NORMALIZE], r"p\[0\] 'Normalize': the image still has 8-bit levels.*ToTensor"),
        ([TO_TENSOR, NORMALIZE, NORMALIZE], r"p\[2\] 'Normalize': .* normalised already"),
        (
            [TO_TENSOR, NORMALIZE, {"type": "ColorJitter"}],
            r"p\[2\] 'ColorJitter': .*Move it before 'Normalize'",
        ),
        (
            [TO_TENSOR, {"type": "RandomApply", "transforms": [{"type": "JPEG"}]}],
            r"p\[1\]\.transforms\[0\] 'JPEG': needs 8-bit pixels\. Move it before 'ToTensor'",
        ),
        (
            [TO_TENSOR, {"type": "Normalize", "mean": [123.7] * 3, "std": [58.4] * 3}],
            r"p\[1\] 'Normalize': mean=\[123\.7.*Divide them by 255",
        ),
    ],
)
def test_an_order_that_cannot_work_is_refused(steps: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_order(steps, "p")


def test_the_usual_orders_pass() -> None:
    jitter = {"type": "ColorJitter", "brightness": 0.1}
    check_order([jitter, {"type": "JPEG"}, TO_TENSOR, jitter, NORMALIZE], "p")
    check_order([{"type": "ToDtype", "dtype": "float32"}, NORMALIZE], "p")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "torchvision.ColorJitter"}, "p[0] 'ColorJitter' alters the image"),
        ({"type": "RandomResizedCrop", "size": 8}, "p[0] 'RandomResizedCrop' alters the image"),
        ({"type": "RandomCrop", "size": 8, "pad_if_needed": True}, "'QualityRandomCrop' enlarges"),
        ({"type": "RandomCrop", "size": 8, "padding": 4}, "pads images with borders"),
        ({"type": "Resize", "size": (512, 384)}, "size=(512, 384) is (height, width)"),
    ],
)
def test_what_spoils_quality_is_warned_about(
    step: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    warn_about_quality([step], "p")
    assert len(caplog.messages) == 1
    assert message in caplog.messages[0]


def test_what_keeps_quality_passes_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    names = ["RandomHorizontalFlip", "ToTensor", "Normalize", "GridCrop"]
    steps: list[dict[str, Any]] = [{"type": name} for name in names]
    warn_about_quality([*steps, {"type": "Resize", "size": 384}, {"type": "RandomCrop"}], "p")
    assert not caplog.messages


def test_flatten_names_the_place_of_nested_steps() -> None:
    steps: list[dict[str, Any]] = [
        TO_TENSOR,
        {"type": "RandomChoice", "transforms": [TO_TENSOR, NORMALIZE]},
    ]
    found = [(name, place) for name, _, place in flatten(steps, "p")]
    assert found == [
        ("ToTensor", "p[0]"),
        ("RandomChoice", "p[1]"),
        ("ToTensor", "p[1].transforms[0]"),
        ("Normalize", "p[1].transforms[1]"),
    ]

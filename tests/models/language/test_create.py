from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.models.language.create import create_multimodal_model
from cliqa.models.language.fusion_model import FusionModel
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize(("kind", "cls"), [("fusion", FusionModel), ("clip", ImageTextModel)])
def test_ten_classes_of_fashion(kind: str, cls: type) -> None:
    model = create_multimodal_model(kind, num_classes=10)
    assert type(model) is cls
    logits = model(torch.rand(3, 1, 28, 28))
    assert logits.shape == (3, 10)
    assert model.candidates().names[0] == "T-shirt/top"
    logits.sum().backward()


def test_classes_of_ones_own_and_other_images() -> None:
    model = create_multimodal_model("clip", texts=["cat", "dog"], in_channels=3, image_size=40)
    assert model(torch.rand(2, 3, 40, 40)).shape == (2, 2)
    assert model.candidates().flat == ("a photo of a cat.", "a photo of a dog.")


def test_the_model_is_that_of_the_config() -> None:
    """The same layers as config/fmnist_fusion_replay.py builds."""
    from cliqa.config.load import load_config  # noqa: PLC0415
    from cliqa.models.build import build_model  # noqa: PLC0415

    built = build_model(load_config("config/fmnist_fusion_replay.py")["model"])
    own = create_multimodal_model("fusion", num_classes=10)
    assert {k: v.shape for k, v in own.named_parameters()} == {
        k: v.shape for k, v in built.named_parameters()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "fuison"}, "unknown kind 'fuison'. Did you mean 'fusion'"),
        (
            {"num_classes": 4},
            "num_classes=4, but the texts fashion_mnist are of 10. Give the names",
        ),
        ({"texts": ["a", "b", "a"]}, "'a photo of a a.' is a text of 'a' and"),
        ({"image_size": 4}, "image_size must be at least 8, got 4"),
    ],
)
def test_mistakes(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_multimodal_model(**arguments)

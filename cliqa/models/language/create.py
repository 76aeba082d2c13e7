"""Small image-text models in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliqa.config.suggest import closest
from cliqa.models.language.candidate_texts import CandidateTexts, texts_of_names
from cliqa.models.language.fusion_model import FusionModel
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.language.text_files import load_texts
from cliqa.utils.errors import ConfigError

KINDS = {"clip": ImageTextModel, "fusion": FusionModel}

Texts = str | Path | Sequence[str]

BLOCKS = 3
"""Each halves the height and the width of the images."""


def create_multimodal_model(
    kind: str = "fusion",
    num_classes: int | None = None,
    texts: Texts = "fashion_mnist",
    in_channels: int = 1,
    image_size: int = 28,
    width: int = 64,
    temperature: float = 0.07,
) -> ImageTextModel:
    """Return an image-text model over three convolutions and a small text transformer.

    ``create_multimodal_model("fusion", num_classes=10)`` compares images with the texts of
    Fashion-MNIST's ten classes.

    Args:
        kind: ``"clip"``: two towers with a common space (`ImageTextModel`); ``"fusion"``: the words
            attend to regions of the image (`FusionModel`).
        num_classes: K, to check that the texts are those of so many classes; None for any number.
        texts: The candidates: a name of the package's own texts, the path of a YAML file, or the
            classes' names, of which each becomes "a photo of a ...".
        in_channels: Channels of the images: 1 or 3.
        image_size: Height and width of the images, at least 8.
        width: D of the common space.
        temperature: Initial divisor of the cosines.

    Raises:
        ConfigError: The kind is unknown, or the texts are wrong or of another number.
    """
    if kind not in KINDS:
        raise ConfigError(
            f"create_multimodal_model: unknown kind {kind!r}.{closest(str(kind), KINDS)} Use "
            f"{' or '.join(KINDS)}."
        )
    side = image_size // 2**BLOCKS
    if side < 1:
        raise ConfigError(
            f"create_multimodal_model: image_size must be at least {2**BLOCKS}, got {image_size}."
        )
    found = _texts(texts)
    if num_classes is not None and num_classes != len(found):
        raise ConfigError(
            f"create_multimodal_model: num_classes={num_classes}, but the texts {found.source} are "
            f"of {len(found)}. Give the names of your classes: texts=['cat', 'dog', ...]."
        )
    flat = kind == "clip"
    arguments: dict[str, Any] = {
        "backbone": {"type": "SmallConvNet", "in_channels": in_channels, "flatten": flat},
        "texts": None,
        "in_channels": 64 * side**2 if flat else 64,
        "text_encoder": {"type": "TextTransformer", "dim": 64, "layers": 2, "heads": 4},
        "width": width,
        "temperature": temperature,
    }
    model: ImageTextModel = KINDS[kind](**arguments)
    model.text_encoder.learn(found.flat)
    model.use_texts(found)
    return model


def _texts(texts: Texts) -> CandidateTexts:
    """Return the candidates of a name, a file, or classes' names."""
    if isinstance(texts, (str, Path)):
        return load_texts(texts)
    return texts_of_names(texts, "of these classes")

"""Label-free pretraining at the start of every experience, on its own images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from cliqa.benchmarks.experience import NamedExperience
from cliqa.models.arguments import check_integer
from cliqa.pretraining.pairs import IMAGENET_MEAN, IMAGENET_STD, Images, PairDataset
from cliqa.pretraining.pretrainer import Pretrainer, Row
from cliqa.pretraining.projection import QualityProjection, feature_length
from cliqa.pretraining.text_anchors import antipodal_anchors
from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.training.views.views import TaskViews
from cliqa.transforms.degradations.ladders import find_family
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import seed_everything

logger = get_logger(__name__)


@PLUGINS.register_module()
class LabelFreePretraining(ContinualPlugin):
    """Pretrain the encoder to rank degradations of an experience's images, before its scores.

    QualiCLIP's training (Agnolucci et al., 2024) with opposite anchors, as a ``pretrain`` section
    does on a whole stream; here no image is used before its experience. The projection is kept from
    one experience to the next. The head is not used.

    Args:
        epochs: Passes over an experience's images.
        batch_size: Images per step; the encoder's batch is 2 * levels times as large.
        crop_size: Edge of the crops, in pixels.
        families: The degradations; None for all.
        num_levels: Levels of each.
        lr_encoder: The encoder's first rate.
        lr_projection: The projection's first rate.
        dim: Width of the embedding.
        hidden: Width of the layer before it; 0 for none.
        mean: The channels' means, as in the scenario.
        std: The channels' standard deviations, as in the scenario.
        seed: Seed of all random numbers; None for the run's.

    Attributes:
        rows: One row per epoch of pretraining: the experience and the loss's parts.

    Raises:
        ConfigError: A number is out of range, a degradation is unknown, the model has no
            features, the stream no images, or another plugin keeps weights of experiences.
    """

    saved = ("_projection", "rows")

    def __init__(
        self,
        epochs: int = 2,
        batch_size: int = 8,
        crop_size: int = 224,
        families: Sequence[str] | None = None,
        num_levels: int = 5,
        lr_encoder: float = 5e-5,
        lr_projection: float = 5e-4,
        dim: int = 128,
        hidden: int = 256,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        check_integer("LabelFreePretraining", 1, epochs=epochs, batch_size=batch_size, dim=dim)
        for family in families or ():
            find_family(family)
        self.pairs: dict[str, Any] = {
            "crop_size": crop_size,
            "families": families,
            "num_levels": num_levels,
            "mean": mean,
            "std": std,
        }
        self.rates: dict[str, Any] = {"lr_encoder": lr_encoder, "lr_projection": lr_projection}
        self.epochs, self.batch_size = epochs, batch_size
        self.dim, self.hidden, self.seed = dim, hidden, seed
        self.rows: list[Row] = []
        self._projection: dict[str, Any] = {}

    def check(self, plugins: Sequence[Any]) -> None:
        """Refuse methods that keep weights for each experience, which pretraining would change."""
        for plugin in plugins:
            if isinstance(plugin, TaskViews):
                name = type(plugin).__name__
                raise ConfigError(
                    f"LabelFreePretraining: {name} keeps weights of earlier experiences, which "
                    "pretraining would change. Pretrain before the stream instead, with a config's "
                    "pretrain section and load_from."
                )

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Pretrain, unless a resumed run has done that already."""
        if strategy.resumes_mid_step:
            return
        index = strategy.experience.current_experience
        seed = strategy.options.seed if self.seed is None else self.seed
        trainer = self.pretrainer(strategy.model, images_of(strategy.experience), seed + index)
        for row in trainer.run():
            self.rows.append({**row, "experience": float(index)})
        self._projection = trainer.model.projection.state_dict()
        logger.info(
            "pretrained on the images of experience %d: loss %.4f -> %.4f",
            *(index + 1, trainer.rows[0]["total"], trainer.rows[-1]["total"]),
        )
        seed_everything(strategy.options.seed, "step", strategy.step_index, "pretrained")

    def pretrainer(self, model: nn.Module, images: Images, seed: int) -> Pretrainer:
        """Return the pretrainer for an experience's images.

        Args:
            model: The model, with ``features(images)``.
            images: uint8 (3, H, W) by index.
            seed: Seed of the pairs and their order.
        """
        if not callable(getattr(model, "features", None)):
            raise ConfigError(
                f"LabelFreePretraining: model '{type(model).__name__}' has no features(images). "
                "Use 'QualityModel', 'LightweightModel' or one of the HyperIQA family."
            )
        device = next(model.parameters()).device
        length = feature_length(model, self.pairs["crop_size"])
        projection = QualityProjection(
            model, antipodal_anchors(self.dim), length, hidden=self.hidden
        )
        if self._projection:
            projection.projection.load_state_dict(self._projection)
        return Pretrainer(
            projection,
            PairDataset(images, **self.pairs, seed=seed),
            epochs=self.epochs,
            batch_size=self.batch_size,
            **self.rates,
            device=device,
            seed=seed,
        )


def images_of(experience: Any) -> Images:  # noqa: ANN401
    """Return the training images of an experience, of this package's streams or of Avalanche's.

    Raises:
        ConfigError: It has no images with scores, or its data set gives them transformed only.
    """
    if isinstance(experience, NamedExperience):
        source: Images | None = experience.source
        if source is None:
            raise ConfigError(
                "LabelFreePretraining: needs one data set of images with scores at a time "
                "(scenario.type='QualityStream', and no joint training). Drop the plugin, or "
                "pretrain before the stream with a config's pretrain section."
            )
        return source
    return Untransformed(experience.dataset)


class Untransformed:
    """The images of an Avalanche data set before its transforms, for `PairDataset`.

    Args:
        dataset: Its samples begin with a Pillow image or a uint8 tensor (3, H, W).

    Raises:
        ConfigError: They do not.
    """

    def __init__(self, dataset: Any) -> None:  # noqa: ANN401
        self._data = dataset.eval().replace_current_transform_group((None, None))
        self.image(0)

    def __len__(self) -> int:
        return len(self._data)

    def image(self, index: int) -> Tensor:
        """Return image `index`, uint8 (3, H, W)."""
        image = self._data[index][0]
        if isinstance(image, Image.Image):
            image = pil_to_tensor(image.convert("RGB"))
        if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.shape[0] != 3:
            got = getattr(image, "dtype", type(image).__name__)
            raise ConfigError(
                "LabelFreePretraining: needs images before their transforms, a Pillow image or a "
                f"uint8 tensor (3, H, W), and the data set gives {got}. Give it no transform, and "
                "give the transforms to the benchmark: nc_benchmark(train_transform=..., "
                "eval_transform=...), or transform_groups of an AvalancheDataset."
            )
        return image

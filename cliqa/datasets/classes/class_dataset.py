"""A data set of inputs with one class each: images in files, images in memory, or features."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from cliqa.transforms.decode import read_image
from cliqa.utils.errors import DatasetError


class ImageFiles(Sequence[torch.Tensor]):
    """Images that stay in their files until one is asked for.

    Args:
        paths: The files.
        sources: The list and line of each image, for messages (``"all.txt, line 3"``); optional.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        sources: Sequence[str] | None = None,
    ) -> None:
        self.paths = [str(path) for path in paths]
        self.sources = None if sources is None else list(sources)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:  # type: ignore[override]  # no slices
        return self.read(index)

    def read(self, index: int, shorter_edge: int | None = None) -> torch.Tensor:
        """Return image `index`, uint8 (3, H, W), or smaller: see `read_image`.

        Raises:
            DatasetError: It cannot be decoded.
        """
        try:
            return read_image(self.paths[index], shorter_edge=shorter_edge)
        except DatasetError as error:
            listed = f" (listed in {self.sources[index]})" if self.sources else ""
            raise DatasetError(f"{error}{listed}") from error

    def select(self, indices: Sequence[int]) -> ImageFiles:
        """Return a view of some of the images."""
        view = copy.copy(self)
        view.paths = [self.paths[i] for i in indices]
        view.sources = None if self.sources is None else [self.sources[i] for i in indices]
        return view


class ClassDataset(Dataset[tuple[torch.Tensor, int]]):
    """Inputs with one class each.

    Item i is ``(input, class)``: an image, uint8 (C, H, W), or a feature vector, float32 (D,), and
    the class as an int, 0..K-1.

    Args:
        inputs: `ImageFiles`; images uint8 (N, C, H, W); or features float32 (N, D).
        targets: (N,) classes, 0..K-1.
        class_names: The K classes.
        keys: (N,) what identifies each sample: a path, or a place in a file.

    Raises:
        DatasetError: The lengths differ, or a class does not exist.
    """

    def __init__(
        self,
        inputs: torch.Tensor | ImageFiles,
        targets: npt.ArrayLike,
        class_names: Sequence[str],
        keys: Sequence[str],
    ) -> None:
        self.inputs = inputs
        self.targets = np.asarray(targets, dtype=np.int64)  # (N,)
        self.class_names = tuple(class_names)
        self.keys = tuple(keys)
        if not len(inputs) == len(self.targets) == len(self.keys):
            raise DatasetError(
                f"{len(inputs)} inputs, {len(self.targets)} classes and {len(self.keys)} keys: a "
                "data set needs as many of each."
            )
        wrong = np.flatnonzero((self.targets < 0) | (self.targets >= len(self.class_names)))
        if len(wrong):
            index = int(wrong[0])
            raise DatasetError(
                f"{self.keys[index]}: class {self.targets[index]} does not exist; there are "
                f"{len(self.class_names)} classes, 0..{len(self.class_names) - 1}."
            )

    @property
    def has_features(self) -> bool:
        """Whether the inputs are feature vectors."""
        return isinstance(self.inputs, torch.Tensor) and self.inputs.ndim == 2

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.inputs[index], int(self.targets[index])

    def __repr__(self) -> str:
        kind = "feature vectors" if self.has_features else "images"
        return f"{type(self).__name__}({len(self)} {kind} of {len(self.class_names)} classes)"

    def select(self, indices: Iterable[int]) -> ClassDataset:
        """Return a view of the samples at `indices`, in their order.

        Raises:
            IndexError: An index is beyond the end.
        """
        chosen = [int(index) for index in indices]
        inputs = (
            self.inputs[torch.as_tensor(chosen, dtype=torch.long)]
            if isinstance(self.inputs, torch.Tensor)
            else self.inputs.select(chosen)
        )
        return ClassDataset(
            inputs, self.targets[chosen], self.class_names, [self.keys[i] for i in chosen]
        )

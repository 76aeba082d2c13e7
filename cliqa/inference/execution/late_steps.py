"""8-bit crops that become numbers in one go: conversion and normalisation of a whole batch.

Converting and normalising treat every pixel alone, so they may come after the crops: the values are
equal to the last bit. Images wait in a quarter of the memory, and a GPU gets a quarter of the
bytes.

Legend: B images, N crops an image, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cliqa.training.loop.batching import RaggedImages
from cliqa.transforms.pipeline import apply_step
from cliqa.transforms.protocol import Views
from cliqa.transforms.staged import stages


class LateSteps:
    """A preprocessing in two parts: up to 8-bit crops of an image, and the rest for batches.

    Args:
        views: The whole preprocessing. If its last steps do more than treat single pixels, the
            first part is all of it.
    """

    def __init__(self, views: Views) -> None:
        self.views = views
        fixed, drawn, self._finish = stages(views.pipeline)
        self._first = (*fixed, *drawn)

    def __call__(self, image: Tensor, key: str) -> Tensor:
        """Return an image's input of the model, as `Views` does, but for the late steps.

        Returns:
            uint8, which `finish` completes, or complete in float32.
        """
        if self._finish is None or image.dtype != torch.uint8:
            return self.views(image, key)
        shown = image
        for step in self._first:
            shown = apply_step(step, shown)  # type: ignore[assignment]  # a tensor stays one
        size = self.views.protocol.crop_size or 0
        crops = self.views.protocol.changes_crops
        if not isinstance(shown, Tensor):
            return self.views(image, key)
        if shown.dtype != torch.uint8:
            return self.views.cut(self._finish(shown), key)
        if crops and min(shown.shape[-2:]) < size:  # it is enlarged, which treats no single pixels
            return self.views.cut(self._finish(shown), key)
        return self.views.cut(shown, key)

    def batch(self, images: Sequence[Tensor]) -> Tensor | RaggedImages:
        """Return images in one batch (B, ...), or in a list if their sizes differ."""
        kinds = {(image.dtype, image.shape) for image in images}
        if len({dtype for dtype, _ in kinds}) > 1:
            images = [self._complete(image) for image in images]
        if len({shape for _, shape in kinds}) > 1:
            return RaggedImages(images)
        return images[0][None] if len(images) == 1 else torch.stack(list(images))

    def finish(self, images: Tensor | RaggedImages) -> Tensor | RaggedImages:
        """Return a batch, or an image, after the late steps; one that is complete stays as it is.

        Args:
            images: (..., C, H, W) of one size, or a list of several.
        """
        if isinstance(images, RaggedImages):
            return RaggedImages(map(self._complete, images))
        return self._complete(images)

    def _complete(self, images: Tensor) -> Tensor:
        """Return images (..., C, H, W) after the late steps, unless they are complete."""
        return (
            images if self._finish is None or images.dtype != torch.uint8 else self._finish(images)
        )

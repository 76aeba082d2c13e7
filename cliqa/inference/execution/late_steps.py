"""8-bit crops that become numbers in one go: conversion and normalisation of a whole batch.

Converting and normalising treat every pixel alone, so they may come after the crops: the values are
equal to the last bit. Images wait in a quarter of the memory, and a GPU gets a quarter of the
bytes.

Legend: B images, N crops an image, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from cliqa.training.loop.batching import RaggedImages
from cliqa.transforms.pipeline import Pipeline, Step, apply_step
from cliqa.transforms.protocol import Views
from cliqa.transforms.torchvision_transforms import ToTensor


class LateSteps:
    """A preprocessing in two parts: up to 8-bit crops of an image, and the rest for batches.

    Args:
        views: The whole preprocessing. If its last steps do more than treat single pixels, the
            first part is all of it.
    """

    def __init__(self, views: Views) -> None:
        self.views = views
        steps = views.pipeline.steps if isinstance(views.pipeline, Pipeline) else ()
        count = 0
        while count < len(steps) and _is_pointwise(steps[-1 - count]):
            count += 1
        self._first = steps[: len(steps) - count]
        self._late = steps[len(steps) - count :]

    def __call__(self, image: Tensor, key: str) -> Tensor:
        """Return an image's input of the model, as `Views` does, but for the late steps.

        Returns:
            uint8, which `finish` completes, or complete in float32.
        """
        if not self._late or image.dtype != torch.uint8:
            return self.views(image, key)
        shown = image
        for step in self._first:
            shown = apply_step(step, shown)  # type: ignore[assignment]  # a tensor stays one
        size = self.views.protocol.crop_size or 0
        crops = self.views.protocol.changes_crops
        if not isinstance(shown, Tensor) or shown.dtype != torch.uint8:
            return self.views.cut(self._finished(shown), key)
        if crops and min(shown.shape[-2:]) < size:  # it is enlarged, which treats no single pixels
            return self.views.cut(self._finished(shown), key)
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
        return self._finished(images) if images.dtype == torch.uint8 else images

    def _finished(self, images: Tensor) -> Tensor:
        """Return images (..., C, H, W) after the late steps."""
        own = False  # whether the memory is ours to write into
        for step in self._late:
            before = images
            transform: Any = step.transform
            if own and isinstance(transform, v2.Normalize) and _fits(transform, images):
                images = F.normalize(images, transform.mean, transform.std, inplace=True)
            else:
                images = apply_step(step, images)  # type: ignore[assignment]
            own = own or images is not before
        return F.to_dtype(images, torch.float32, scale=True).as_subclass(torch.Tensor)


def _fits(normalize: v2.Normalize, images: Tensor) -> bool:
    """Return whether there is a mean for each channel, so that the result has the same shape."""
    return len(normalize.mean) == len(normalize.std) == images.shape[-3]


def _is_pointwise(step: Step) -> bool:
    """Return whether a step treats every pixel alone, whatever is around it."""
    return isinstance(step.transform, (ToTensor, v2.Normalize))

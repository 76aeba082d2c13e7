"""A pipeline over stored images in three stages: what is kept, what is drawn, what a batch takes.

1. The deterministic first steps (decode, resize) give the same 8-bit pixels every time: they are
   looked up in a `PixelStore`.
2. From the first random step on, each image goes through the steps alone.
3. The last steps that treat every pixel for itself (to float, normalise) take a whole batch at
   once, on the model's device; until then an image has 8 bits a value.

A sample outside of a batch goes through all of them, and its values are those of the pipeline, to
the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from cliqa.transforms.elongated import single_size
from cliqa.transforms.pipeline import Pipeline, Step, apply_step, preprocessing_signature
from cliqa.transforms.pixel_store.store import NothingKept, PixelStore

FIXED = frozenset(
    {"Resize", "AdaptiveResize", "HyperIQAResize", "ResizePad", "CenterCrop", "Grayscale"}
)
"""Deterministic steps that keep 8-bit pixels: their result can be reused."""

POINTWISE = frozenset({"ToTensor", "ToDtype", "ConvertImageDtype", "Normalize"})
"""Steps that treat every pixel for itself: a batch may take them as one image."""

UNIFORM = FIXED | POINTWISE | {"GridCrop", "FiveCrop"}
"""Deterministic steps."""


class LazyImage(Protocol):
    """An image that is read when it is needed."""

    @property
    def file(self) -> str | None:
        """The image's file; None for an image that is in memory."""

    def read(self, shorter_edge: int | None = None) -> Tensor:
        """Return its pixels, uint8 (3, H, W), or of a smaller image: see `read_image`."""


class Finish:
    """The pointwise last steps of a pipeline, and the conversion to float32.

    Args:
        steps: The steps.
    """

    def __init__(self, steps: tuple[Step, ...] = ()) -> None:
        self.steps = steps
        self._rest = Pipeline(steps)
        self._levels = [step.name for step in steps] in (
            [],
            ["ToTensor"],
            ["ToTensor", "Normalize"],
        )
        self._normal = _normalisation(steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Finish) and self.steps == other.steps

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 images of any (..., C, H, W), on their device.

        On a CPU a batch is treated image by image, each while it is in the processor's cache.
        """
        if not isinstance(images, Tensor):  # a Pillow image, which some step has made
            return self._rest(images)
        if images.device.type != "cpu" or images.dim() < 4 or not len(images):
            return self._rest(images)
        if not self._is_plain(images):
            return torch.stack([self._rest(image) for image in images])
        made = torch.empty(images.shape, dtype=torch.float32)
        for target, image in zip(made, images, strict=True):
            target.copy_(image).mul_(1.0 / 255)  # as torchvision's own conversion, to the bit
            if self._normal is not None:
                target.sub_(self._normal[0]).div_(self._normal[1])
        return made

    def _is_plain(self, images: Tensor) -> bool:
        """Return whether the steps are ``[ToTensor, [Normalize]]`` of 8-bit images."""
        if not self._levels or images.dtype != torch.uint8:
            return False
        return self._normal is None or len(self._normal[0]) in (1, images.shape[-3])


def _normalisation(steps: tuple[Step, ...]) -> tuple[Tensor, Tensor] | None:
    """Return the means and deviations (C, 1, 1) of a last ``Normalize``."""
    if not steps or steps[-1].name != "Normalize":
        return None
    mean, std = (torch.tensor(steps[-1].arguments[key])[:, None, None] for key in ("mean", "std"))
    return mean, std


class Unfinished(NamedTuple):
    """Pixels whose last steps are yet to be done.

    Args:
        pixels: An image (C, h, w) or crops (N, C, h, w), or a batch of either; mostly uint8.
        finish: The steps.
    """

    pixels: Tensor
    finish: Finish


_IN_A_BATCH: ContextVar[bool] = ContextVar("_IN_A_BATCH", default=False)


def in_a_batch() -> bool:
    """Return whether samples are being read for a batch, which `unfinished` says."""
    return _IN_A_BATCH.get()


@contextmanager
def unfinished() -> Iterator[None]:
    """Within this context images are read if they are not kept, and a batch does the last steps."""
    token = _IN_A_BATCH.set(True)
    try:
        yield
    finally:
        _IN_A_BATCH.reset(token)


class StagedPipeline:
    """A pipeline over stored images.

    Args:
        transform: The pipeline; of any other function nothing is kept but the decoded image.
        store: Where the pixels after the first steps are kept.
        scaled_decode: Decode a JPEG at a fraction of its size where the first step shrinks it more.
    """

    def __init__(
        self,
        transform: Callable[[Tensor], Tensor],
        store: PixelStore | None = None,
        scaled_decode: bool = False,
    ) -> None:
        self.transform = transform
        self._edge = first_edge(transform) if scaled_decode else None
        self.store = NothingKept() if store is None else store
        self._fixed, self._drawn, self._finish = stages(transform)

    def __call__(self, stored: LazyImage | Tensor) -> Tensor:
        """Return an image after the whole pipeline; in a batch, without its last steps."""
        image: Any = self._start_of(stored)
        if self._finish is None:
            return self.transform(image)
        for step in self._drawn:
            image = apply_step(step, image)
        if in_a_batch() and isinstance(image, Tensor):
            return cast(Tensor, Unfinished(image, self._finish))
        return self._finish(image)

    def _start_of(self, stored: LazyImage | Tensor) -> Tensor:
        """Return an image after the fixed steps."""
        if isinstance(stored, Tensor):
            return _after(self._fixed, stored)
        if stored.file is None:
            return _after(self._fixed, stored.read())
        image = self.store.get(stored.file)
        if image is None:
            image = _after(self._fixed, stored.read(self._edge))
            self.store.put(stored.file, image)
        return image


def as_staged(transform: Callable[[Any], Tensor]) -> StagedPipeline:
    """Return a transform as one of stored images; of what is none yet, nothing is kept."""
    return transform if isinstance(transform, StagedPipeline) else StagedPipeline(transform)


def _after(steps: tuple[Step, ...], image: Tensor) -> Tensor:
    """Return 8-bit pixels after fixed steps, in the order in which a store gives them back.

    Decoders leave pixels in other orders, in which the steps that follow may round otherwise.
    """
    for step in steps:
        image = cast(Tensor, apply_step(step, image))  # no fixed step makes a Pillow image
    return image.contiguous()


def stages(
    transform: Callable[[Tensor], Tensor],
) -> tuple[tuple[Step, ...], tuple[Step, ...], Finish | None]:
    """Return a pipeline's fixed, drawn and last steps; no last ones of any other function."""
    if not isinstance(transform, Pipeline):
        return (), (), None
    steps = transform.steps
    first = next((k for k, step in enumerate(steps) if step.name not in FIXED), len(steps))
    last = len(steps)
    while last > first and steps[last - 1].name in POINTWISE:
        last -= 1
    return steps[:first], steps[first:last], Finish(steps[last:])


def first_edge(transform: Callable[[Tensor], Tensor]) -> int | None:
    """Return the shorter edge that a pipeline's first step resizes images to, None for others."""
    fixed = stages(transform)[0]
    if not fixed or fixed[0].name not in ("Resize", "AdaptiveResize"):
        return None
    if fixed[0].arguments.get("max_size") is not None:
        return None
    return single_size(fixed[0].arguments["size"])


def fixed_signature(transform: Callable[[Tensor], Tensor]) -> list[dict[str, Any]]:
    """Return what decides about the kept pixels beside the image: the fixed steps' arguments."""
    return preprocessing_signature(Pipeline(stages(transform)[0]))

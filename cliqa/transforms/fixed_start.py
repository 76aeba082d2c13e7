"""A pipeline whose deterministic first steps are computed once for each image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, cast

from torch import Tensor

from cliqa.transforms.pipeline import Pipeline, apply_step

FIXED = frozenset(
    {"Resize", "AdaptiveResize", "HyperIQAResize", "ResizePad", "CenterCrop", "Grayscale"}
)
"""Deterministic steps that keep 8-bit pixels: their result can be reused."""

UNIFORM = FIXED | {"ToTensor", "ToDtype", "ConvertImageDtype", "Normalize", "GridCrop", "FiveCrop"}
"""Deterministic steps."""


class LazyImage(Protocol):
    """An image that is read when it is needed."""

    @property
    def key(self) -> str:
        """The image's identity."""

    def read(self) -> Tensor:
        """Return its pixels, uint8 (3, H, W)."""


class FixedStart:
    """A pipeline over stored images that caches the result of its first, deterministic steps.

    Of an image that is asked for again, only the steps from the first random one on are computed:
    it is not read, decoded and resized once more.

    Args:
        transform: The pipeline; any other function counts as random.
        capacity: Images that are kept, those used last, as 8-bit pixels; each process has its own.
    """

    def __init__(self, transform: Callable[[Tensor], Tensor], capacity: int) -> None:
        steps = transform.steps if isinstance(transform, Pipeline) else ()
        count = next((k for k, step in enumerate(steps) if step.name not in FIXED), len(steps))
        self._fixed = steps[:count]
        self._rest = Pipeline(steps[count:]) if count else transform
        self._capacity = capacity
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    def __call__(self, stored: LazyImage) -> Tensor:
        """Return an image after the whole pipeline."""
        return self._rest(self._start_of(stored))

    def _start_of(self, stored: LazyImage) -> Tensor:
        """Return an image after the fixed steps."""
        if stored.key in self._kept:
            self._kept.move_to_end(stored.key)
            return self._kept[stored.key]
        image = stored.read()
        for step in self._fixed:
            image = cast(Tensor, apply_step(step, image))  # no fixed step makes a Pillow image
        self._kept[stored.key] = image
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return image

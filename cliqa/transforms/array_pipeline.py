"""Preprocessing of 8-bit images with numpy alone: the same bits as the pipeline of the same steps.

It is for exported files, which are scored without torch: importing that takes longer than scoring
some images. Only steps whose results are equal are known here; `array_pipeline` gives None for
others, and the pipeline of `cliqa.transforms.pipeline` does them.

Legend: N crops, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cliqa.transforms.elongated import check_enlarged

Array = np.ndarray
Step = Callable[[Array], Array]

MOST_BITS = 22
"""PyTorch's most bits after the point of a weight of 16 bits."""


class OtherSize(Exception):  # noqa: N818  no failure: another pipeline takes the image
    """An image that numpy does not handle: smaller than a crop."""


def array_pipeline(steps: Sequence[Mapping[str, Any]]) -> Step | None:
    """Return a preprocessing as a function of arrays, None if a step is not known here.

    Args:
        steps: As in a config.

    Returns:
        From uint8 (3, H, W) to float32 (3, h, w), or (N, 3, h, w) after a step that makes crops. It
        raises `OtherSize` for an image that is smaller than a crop.
    """
    built: list[Step] = []
    is_float = False
    for step in steps:
        name = str(step.get("type"))
        known = FLOAT if is_float else LEVELS
        try:
            made = known[name](step) if name in known and not _unknown(name, step) else None
        except (TypeError, ValueError, KeyError, IndexError):
            made = None  # wrong arguments: the other pipeline tells which
        if made is None:
            return None
        built.append(made)
        is_float = is_float or name == "ToTensor"
    if not is_float:
        built.append(_to_unit)

    def run(image: Array) -> Array:
        for one in built:
            image = one(image)
        return np.ascontiguousarray(image)

    return run


def resize_levels(image: Array, height: int, width: int) -> Array:
    """Resample 8-bit images (..., H, W), with antialiasing, exactly as PyTorch does.

    Weights are a triangle as wide as a new pixel, rounded to 16 bits; levels are rounded after the
    width and after the height.

    Raises:
        DatasetError: The new size has more pixels than an image may have.

    >>> resize_levels(np.array([[0, 10, 20, 30]], dtype=np.uint8), 1, 2).tolist()
    [[7, 23]]
    """
    check_enlarged(height, width)
    for axis, new in ((-1, width), (-2, height)):
        old = image.shape[axis]
        if old == new:
            continue
        bits, places, weights = _taps(old, new)
        total = np.full(1, 1 << (bits - 1), dtype=np.int32)
        column = (-1,) if axis == -1 else (-1, 1)
        for place, weight in zip(places, weights, strict=True):
            total = total + image.take(place, axis) * weight.reshape(column)
        image = np.clip(total >> bits, 0, 255).astype(np.uint8)
    return image


def _taps(old: int, new: int) -> tuple[int, Array, Array]:
    """Return the bits of the weights, and for each tap the pixels (taps, new) and the weights."""
    scale = old / new
    support = max(scale, 1.0)
    centers = scale * (np.arange(new) + 0.5)
    first = np.maximum((centers - support + 0.5).astype(int), 0)
    last = np.minimum((centers + support + 0.5).astype(int), old)
    places = first + np.arange(int((last - first).max()))[:, None]  # (taps, new)
    away = np.abs((places - centers + 0.5) / support)
    exact = np.where(places < last, np.maximum(0.0, 1.0 - away), 0.0)
    exact = exact / exact.sum(0)
    bits = 0
    while bits < MOST_BITS and int(0.5 + exact.max() * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    weights = (0.5 + exact * (1 << bits)).astype(np.int32)
    return bits, np.minimum(places, old - 1), weights


def shorter_edge(image: Array, size: int) -> Array:
    """Resample so that the shorter edge is `size`; the other one is rounded down."""
    shorter = min(image.shape[-2:])
    height, width = (size * edge // shorter for edge in image.shape[-2:])
    return resize_levels(image, height, width)


def _resize(step: Mapping[str, Any]) -> Step | None:
    """Torchvision's ``Resize``."""
    size = step.get("size")
    if step.get("interpolation", "bilinear") != "bilinear" or step.get("antialias") is False:
        return None
    if isinstance(size, list | tuple) and len(size) == 2:
        return lambda image: resize_levels(image, *size)
    if size is None or isinstance(size, float):
        return None
    short = size if isinstance(size, int) else size[0]
    return lambda image: shorter_edge(image, short)


def _adaptive(step: Mapping[str, Any]) -> Step:
    """`AdaptiveResize`."""
    size = step["size"]
    return lambda image: shorter_edge(image, min(size, *image.shape[-2:]))


def _hyperiqa(_: Mapping[str, Any]) -> Step:
    """`HyperIQAResize`."""
    return lambda image: resize_levels(image, 512, 384)


def _center(step: Mapping[str, Any]) -> Step:
    """Torchvision's ``CenterCrop``."""
    size = step["size"]
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])

    def crop(image: Array) -> Array:
        top, left = image.shape[-2] - height, image.shape[-1] - width
        if min(top, left) < 0:
            raise OtherSize
        top, left = round(top / 2), round(left / 2)
        return image[..., top : top + height, left : left + width]

    return crop


def _grid(step: Mapping[str, Any]) -> Step:
    """`GridCrop`; a smaller image is enlarged."""
    size = step.get("size", 224)
    counts = (step.get("rows", 5), step.get("columns", 5))

    def crops(image: Array) -> Array:
        scale = max(size / edge for edge in image.shape[-2:])
        if scale > 1:
            if step.get("small", "upscale") != "upscale":
                raise OtherSize
            new = [max(size, round(edge * scale)) for edge in image.shape[-2:]]
            image = resize_levels(image, *new)
        tops, lefts = (
            _starts(edge - size, count)
            for edge, count in zip(image.shape[-2:], counts, strict=True)
        )
        return np.stack([image[..., y : y + size, x : x + size] for y in tops for x in lefts])

    return crops


def _starts(last: int, count: int) -> list[int]:
    """Return `count` whole numbers evenly spaced over 0..`last`; a single one is the middle."""
    if count == 1:
        return [last // 2]
    return [round(last * k / (count - 1)) for k in range(count)]


def _to_unit(image: Array) -> Array:
    """Turn levels into 0..1, as torchvision does: by a product."""
    return image.astype(np.float32) * np.float32(1 / 255)


def _normalize(step: Mapping[str, Any]) -> Step:
    """Torchvision's ``Normalize``."""
    mean, std = (np.asarray(step[k], dtype=np.float32).reshape(-1, 1, 1) for k in ("mean", "std"))
    return lambda image: (image - mean) / std


def _unknown(name: str, step: Mapping[str, Any]) -> bool:
    """Return whether a step has an argument that is not known here."""
    return not set(step) <= {"type", *ARGUMENTS.get(name, ())}


ARGUMENTS = {
    "Resize": ("size", "interpolation", "antialias"),
    "AdaptiveResize": ("size",),
    "CenterCrop": ("size",),
    "GridCrop": ("size", "rows", "columns", "small"),
    "Normalize": ("mean", "std", "inplace"),
}
FLOAT: dict[str, Callable[[Mapping[str, Any]], Step | None]] = {
    "Normalize": _normalize,
    "CenterCrop": _center,
    "ToTensor": lambda _: lambda image: image,
}
"""Steps of float images. `GridCrop` may resample, which is equal for levels alone."""
LEVELS: dict[str, Callable[[Mapping[str, Any]], Step | None]] = {
    "Resize": _resize,
    "AdaptiveResize": _adaptive,
    "HyperIQAResize": _hyperiqa,
    "CenterCrop": _center,
    "GridCrop": _grid,
    "ToTensor": lambda _: _to_unit,
}
"""Steps of 8-bit images."""

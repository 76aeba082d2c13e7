"""A pipeline: the transforms of an image between its file and the model."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from cliqa.registry import TRANSFORMS, build_component, find, parameters_of
from cliqa.transforms.checks import check_order, warn_about_quality
from cliqa.transforms.elongated import check_enlarged, single_size
from cliqa.utils.errors import CliqaError, ConfigError, DatasetError

CROPS = ("RandomCrop", "CenterCrop", "FiveCrop", "TenCrop")
"""torchvision's crops of a fixed size: they refuse a smaller image, or pad it with zeros."""


Pixels = torch.Tensor | Image.Image
"""An image between two steps."""


@dataclass(frozen=True)
class Step:
    """One built step.

    Attributes:
        name: The transform's class name.
        where: Its key path in the config.
        transform: The transform.
        arguments: All its arguments as plain values, defaults included.
    """

    name: str
    where: str
    transform: Callable[[Any], Any]
    arguments: dict[str, Any]


class Pipeline:
    """Steps applied in order to one image.

    Args:
        steps: The built steps.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)

    def __call__(self, image: torch.Tensor | Image.Image) -> torch.Tensor:
        """Transform an image.

        Args:
            image: uint8 or float (C, H, W), or a Pillow image, which is taken as RGB.

        Returns:
            float32 (C, h, w), or (crops, C, h, w) after a step that makes several crops. Without a
            ``ToTensor`` step, 8-bit levels are scaled to 0..1 at the end.

        Raises:
            DatasetError: A step cannot handle this image; the message names both.
        """
        if isinstance(image, Image.Image):
            image = F.pil_to_tensor(image.convert("RGB"))
        for step in self.steps:
            image = apply_step(step, image)
        if isinstance(image, Image.Image):
            image = F.pil_to_tensor(image)
        return F.to_dtype(image, torch.float32, scale=True).as_subclass(torch.Tensor)

    def __repr__(self) -> str:
        lines = ",\n".join(f"    {step.transform!r}" for step in self.steps)
        return f"Pipeline(\n{lines}\n)" if lines else "Pipeline()"


def apply_step(step: Step, image: Pixels) -> Pixels:
    """Return the image after one step."""
    try:
        if step.name in CROPS and isinstance(image, torch.Tensor):
            _check_fits(step, image)
        if step.name == "Resize" and isinstance(image, torch.Tensor):
            _check_resized(step, image)
        image = step.transform(image)
        return torch.stack(list(image)) if isinstance(image, tuple | list) else image
    except (CliqaError, ValueError, TypeError, RuntimeError, KeyError, IndexError) as error:
        shape = tuple(image.shape) if isinstance(image, torch.Tensor) else type(image).__name__
        raise DatasetError(f"{step.where} '{step.name}', image {shape}: {error}") from error


def _check_fits(step: Step, image: torch.Tensor) -> None:
    """Raise a DatasetError if an image (..., H, W) is smaller than torchvision's crop of it."""
    crop: Any = step.transform  # torchvision's crops have a size
    if getattr(crop, "padding", None) or getattr(crop, "pad_if_needed", False):
        return
    height, width = image.shape[-2:]
    crop_height, crop_width = crop.size
    if height < crop_height or width < crop_width:
        raise DatasetError(
            f"the image is {width} x {height} pixels (width x height), smaller than the crop of "
            f"{crop_width} x {crop_height}. Put dict(type='Resize', size={max(crop.size)}) before "
            "this step, or use 'QualityRandomCrop' or 'GridCrop', which enlarge small images."
        )


def _check_resized(step: Step, image: torch.Tensor) -> None:
    """Raise a DatasetError if an image (..., H, W) would be huge after torchvision's ``Resize``."""
    size = single_size(step.arguments.get("size"))
    if size is not None and step.arguments.get("max_size") is None:
        height, width = image.shape[-2:]
        shorter = min(height, width)
        check_enlarged(size * height // shorter, size * width // shorter)


def build_pipeline(
    steps: Sequence[Mapping[str, Any]], where: str, *, quality: bool = True
) -> Pipeline:
    """Build a pipeline from its config.

    Names are those of ``torchvision.transforms.v2`` and of this package. An interpolation or a
    dtype is written as its name (``interpolation='bicubic'``), and ``RandomApply`` and the like
    take their ``transforms`` as a list of steps.

    Args:
        steps: The steps' configs, in order: ``[dict(type='Resize', size=256), ...]``.
        where: Their key path, for messages (``"scenario.train_transform"``).
        quality: The images carry quality scores: steps that alter quality are warned about.

    Returns:
        The pipeline; it can be pickled, and draws from PyTorch's global generator alone.

    Raises:
        ConfigError: `steps` is not a list, a step is unknown or has a wrong argument, or the order
            cannot work.
    """
    built = _build_steps(steps, where)
    check_order(steps, where)
    if quality:
        warn_about_quality(steps, where)
    return Pipeline(built)


def _build_steps(steps: Sequence[Mapping[str, Any]], where: str) -> list[Step]:
    """Build the steps of a list, or raise a ConfigError if it is none."""
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        raise ConfigError(f"{where}: expected a list of steps, got {type(steps).__name__}.")
    return [_build_step(config, f"{where}[{index}]") for index, config in enumerate(steps)]


def _build_step(config: Mapping[str, Any], where: str) -> Step:
    """Build one step, and those inside it."""
    component = find(TRANSFORMS, config, where)
    arguments = {str(key): _named_value(key, value, where) for key, value in config.items()}
    provided = {}
    inner: list[Step] = []
    if "transforms" in arguments:
        inner = _build_steps(config["transforms"], f"{where}.transforms")
        del arguments["transforms"]
        provided["transforms"] = [step.transform for step in inner]
    transform = build_component(TRANSFORMS, arguments, where, **provided)
    plain = _all_arguments(component, arguments)
    if inner:
        plain["transforms"] = [{"type": step.name, **step.arguments} for step in inner]
    return Step(component.__name__, where, transform, plain)


def _named_value(key: str, value: object, where: str) -> object:
    """Return the torch object of a name in a config, or the value itself."""
    if key == "interpolation" and isinstance(value, str):
        known = [mode.value for mode in InterpolationMode]
        if value not in known:
            raise ConfigError(f"{where}: unknown interpolation '{value}'. Use {', '.join(known)}.")
        return InterpolationMode(value)
    if key == "dtype" and isinstance(value, str):
        dtype = getattr(torch, value.removeprefix("torch."), None)
        if not isinstance(dtype, torch.dtype):
            raise ConfigError(f"{where}: unknown dtype '{value}'. Use 'float32' or 'uint8'.")
        return dtype
    return value


def _all_arguments(component: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's arguments as plain values, those left at their default included."""
    parameters, _ = parameters_of(component)
    merged = {name: p.default for name, p in parameters.items()} | dict(given)
    return {
        name: _plain(value)
        for name, value in sorted(merged.items())
        if name != "type" and value is not inspect.Parameter.empty
    }


def _plain(value: object) -> object:
    """Return a value as JSON could hold it."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def preprocessing_signature(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return a pipeline's steps in plain values, so that a checkpoint can store and compare them.

    A step has its ``type`` and all its arguments, defaults included: equal pipelines have equal
    signatures, however their configs were written.
    """
    return [{"type": step.name, **step.arguments} for step in pipeline.steps]

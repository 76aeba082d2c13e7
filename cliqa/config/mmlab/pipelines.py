"""mmpretrain's image transforms as torchvision's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cliqa.config.mmlab.keys import normalisation
from cliqa.config.mmlab.translation import as_dict, as_dicts

Step = dict[str, Any]

NOT_NEEDED = frozenset(
    {"LoadImageFromFile", "PackInputs", "Normalize", "NumpyToPIL", "PILToNumpy", "ToPIL", "ToNumpy"}
    | {"Collect", "ImageToTensor", "ToTensor", "torchvision/ToTensor", "torchvision/Normalize"}
)
"""Steps that are done elsewhere: reading, conversions, and the normalisation, which comes last."""

INTERPOLATIONS = {"nearest": "nearest", "bilinear": "bilinear", "bicubic": "bicubic"}
INTERPOLATIONS |= {"lanczos": "lanczos", "box": "box", "area": "bilinear", "hamming": "hamming"}
PADDING = 32
"""Pixels that EfficientNet's crops leave at the border by default."""


@dataclass
class PipelineTranslation:
    """A pipeline's steps here.

    Attributes:
        steps: The steps.
        late: Steps that follow the normalisation.
        lost: What has no counterpart, each a clause that says so.
    """

    steps: list[Step] = field(default_factory=list)
    late: list[Step] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def translate_pipeline(
    steps: Sequence[Mapping[str, Any]], preprocessor: Mapping[str, Any]
) -> PipelineTranslation:
    """Return a pipeline's steps with `ToTensor` and the preprocessor's normalisation at the end.

    Args:
        steps: mmpretrain's steps.
        preprocessor: The ``data_preprocessor``, whose ``mean`` and ``std`` are of 0..255.
    """
    found = PipelineTranslation()
    for step in as_dicts(list(steps)):
        _translate(step, found)
    found.steps += [{"type": "ToTensor"}, normalisation(preprocessor), *found.late]
    return found


def _translate(step: Step, found: PipelineTranslation) -> None:
    """Add a step's translation."""
    name = str(step.get("type"))
    if name in NOT_NEEDED:
        return
    given = {key: value for key, value in step.items() if key not in ("type", "backend")}
    if name.startswith("torchvision/"):
        found.steps.append({"type": name.partition("/")[2], **given})
    elif name in STEPS:
        new, *reasons = STEPS[name](given)
        found.lost += [reason for reason in reasons if reason not in found.lost]
        (found.late if name == "RandomErasing" else found.steps).extend(new)
    else:
        found.lost.append(f"the transform {name} is left out")


Translated = list[Any]
"""A list of steps, and then a clause for each thing that is lost."""


def _size(value: object) -> Any:  # noqa: ANN401
    """Return a size as [height, width], or a number; mmpretrain's are (width, height)."""
    return list(value)[::-1] if isinstance(value, (list, tuple)) else value


def _with(step: Step, given: Step, **names: str) -> Step:
    """Return a step with the given arguments by their names here."""
    for theirs, ours in names.items():
        if theirs in given:
            value = given[theirs]
            step[ours] = list(value) if isinstance(value, tuple) else value
    if given.get("interpolation", "bilinear") != "bilinear":
        step["interpolation"] = INTERPOLATIONS.get(str(given["interpolation"]), "bilinear")
    return step


def _resized_crop(given: Step) -> Translated:
    step = {"type": "RandomResizedCrop", "size": _size(given.get("scale"))}
    return [[_with(step, given, crop_ratio_range="scale", aspect_ratio_range="ratio")]]


def _efficient_crop(given: Step) -> Translated:
    step = {"type": "RandomResizedCrop", "size": _size(given.get("scale"))}
    step = _with(step, given, crop_ratio_range="scale", aspect_ratio_range="ratio")
    return [[step], "EfficientNetRandomCrop is RandomResizedCrop, without min_covered"]


def _efficient_centre(given: Step) -> Translated:
    size = int(given.get("crop_size", 224))
    resize = {"type": "Resize", "size": size + int(given.get("crop_padding", PADDING))}
    given = {"interpolation": "bicubic", **given}
    return [[_with(resize, given), {"type": "CenterCrop", "size": size}]]


def _resize_edge(given: Step) -> Translated:
    step = _with({"type": "Resize", "size": given.get("scale")}, given)
    lost = [] if given.get("edge", "short") == "short" else ["ResizeEdge scales the short edge"]
    return [[step], *lost]


def _resize(given: Step) -> Translated:
    scale = given.get("scale")
    if given.get("keep_ratio") and isinstance(scale, (list, tuple)):
        step = {"type": "Resize", "size": min(scale), "max_size": max(scale)}
        if min(scale) == max(scale):
            del step["max_size"]
        return [[_with(step, given)], "Resize(keep_ratio=True) scales the short edge"]
    size = _size(scale) if isinstance(scale, (list, tuple)) else [scale, scale]
    return [[_with({"type": "Resize", "size": size}, given)]]


def _crop(given: Step) -> Translated:
    step = {"type": "RandomCrop", "size": _size(given.get("crop_size"))}
    names = ("padding", "pad_if_needed", "padding_mode")
    return [[_with(step, given, **{name: name for name in names})]]


def _flip(given: Step) -> Translated:
    directions = given.get("direction", "horizontal")
    if isinstance(directions, (list, tuple)):
        return [[], "RandomFlip of several directions is left out"]
    kinds = {"horizontal": "RandomHorizontalFlip", "vertical": "RandomVerticalFlip"}
    if directions not in kinds:
        return [[], f"RandomFlip of direction {directions} is left out"]
    return [[{"type": kinds[directions], "p": given.get("prob", 0.5)}]]


def _rand_augment(given: Step) -> Translated:
    step = {
        "type": "RandAugment",
        "num_ops": given.get("num_policies", 2),
        # of 31 levels here, of total_level there
        "magnitude": round(30 * given.get("magnitude_level", 9) / given.get("total_level", 10)),
    }
    return [[step], "RandAugment is torchvision's: its operations and strengths are a little other"]


def _auto_augment(given: Step) -> Translated:
    policy = given.get("policies")
    names = ("imagenet", "cifar10", "svhn")
    step = {"type": "AutoAugment", "policy": policy if policy in names else "imagenet"}
    lost = [] if policy in names else ["AutoAugment has torchvision's policy for ImageNet"]
    return [[{"type": "AutoAugment"} if step["policy"] == "imagenet" else step], *lost]


def _erasing(given: Step) -> Translated:
    step: Step = {"type": "RandomErasing", "p": given.get("erase_prob", 0.5)}
    step["scale"] = [given.get("min_area_ratio", 0.02), given.get("max_area_ratio", 0.4)]
    ratio = given.get("aspect_range", (0.3, 10 / 3))
    step["ratio"] = list(ratio) if isinstance(ratio, (list, tuple)) else [ratio, 1 / ratio]
    if given.get("mode", "const") == "rand":
        step["value"] = "random"  # normal noise, after the normalisation
    return [[step]]


def _jitter(given: Step) -> Translated:
    names = ("brightness", "contrast", "saturation", "hue")
    step = {"type": "ColorJitter", **{key: given[key] for key in names if given.get(key)}}
    return [[{key: list(v) if isinstance(v, tuple) else v for key, v in step.items()}]]


def _blur(given: Step) -> Translated:
    sigma = given.get("magnitude_range") or given.get("radius", 1.0)
    sigma = list(sigma) if isinstance(sigma, (list, tuple)) else [sigma, sigma]
    step = {"type": "GaussianBlur", "kernel_size": 23, "sigma": [max(s, 0.1) for s in sigma]}
    return [[_applied(step, given.get("prob", 0.5))]]


def _applied(step: Step, probability: float) -> Step:
    """Return a step that is applied with a probability."""
    if probability == 1:
        return step
    return {"type": "RandomApply", "transforms": [step], "p": probability}


def _random_apply(given: Step) -> Translated:
    inner = PipelineTranslation()
    for step in as_dicts(given.get("transforms")):
        _translate(as_dict(step), inner)
    if not inner.steps:
        return [[], *inner.lost]
    step = {"type": "RandomApply", "transforms": inner.steps, "p": given.get("prob", 0.5)}
    return [[step], *inner.lost]


STEPS: dict[str, Callable[[Step], Translated]] = {
    "RandomResizedCrop": _resized_crop,
    "EfficientNetRandomCrop": _efficient_crop,
    "EfficientNetCenterCrop": _efficient_centre,
    "ResizeEdge": _resize_edge,
    "Resize": _resize,
    "CenterCrop": lambda given: [[{"type": "CenterCrop", "size": _size(given.get("crop_size"))}]],
    "RandomCrop": _crop,
    "RandomFlip": _flip,
    "RandAugment": _rand_augment,
    "AutoAugment": _auto_augment,
    "RandomErasing": _erasing,
    "ColorJitter": _jitter,
    "GaussianBlur": _blur,
    "RandomGrayscale": lambda given: [[{"type": "RandomGrayscale", "p": given.get("prob", 0.1)}]],
    "Solarize": lambda given: [
        [
            {
                "type": "RandomSolarize",
                "threshold": given.get("thr", 128),
                "p": given.get("prob", 0.5),
            }
        ]
    ],
    "RandomApply": _random_apply,
}
"""mmpretrain's transforms that have a counterpart."""

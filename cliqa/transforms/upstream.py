"""torchvision's transforms (v2) under their own names."""

from __future__ import annotations

import inspect
from typing import Any

from torchvision.transforms import v2

from cliqa.registry import TRANSFORMS

NOT_FOR_ONE_IMAGE = frozenset({"Transform", "Lambda", "MixUp", "CutMix", "ToTensor"})
"""Left out: the base class, what takes a function, what mixes a batch, and the deprecated twin."""


def _is_image_transform(name: str, value: Any) -> bool:  # noqa: ANN401
    """Return whether a public object of torchvision is a transform of one image."""
    return (
        inspect.isclass(value) and issubclass(value, v2.Transform) and name not in NOT_FOR_ONE_IMAGE
    )


TRANSFORMS.add_upstream(v2, _is_image_transform, "torchvision")
TRANSFORMS.for_files = lambda _: True  # they compute, and nothing else

"""The three data sets: their scenes, their distortions, and how much each lowers the score.

They disagree, as data sets of different raters, devices and subjects do. Blur removes the fine
detail that noise adds; each is the main distortion of one data set and hardly lowers the scores of
another, so a model that only fits the newest data set forgets the older ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cliqa.demo_data.painting.landscape import landscape
from cliqa.demo_data.painting.still_life import still_life
from cliqa.demo_data.painting.street import street
from cliqa.demo_data.ratings import (
    LabelWriter,
    write_ava_labels,
    write_eva_labels,
    write_koniq_labels,
)

Scene = Callable[[int, np.random.Generator], np.ndarray]
"""(side in pixels, generator) -> image (side, side, 3) float32 in 0..1."""


@dataclass(frozen=True)
class DistortionShare:
    """One distortion in a data set.

    Attributes:
        share: The share of the images that have it.
        impact: The quality that severity 1 costs, 0..1. It does not hold for photographs: theirs
            is measured.
    """

    share: float
    impact: float


@dataclass(frozen=True)
class Campaign:
    """One data set.

    Attributes:
        name: Its folder's name.
        images: The image folder of the official layout.
        scene: Paints its pristine images.
        scene_name: The scene's name.
        painted: Distortions of painted scenes.
        photographed: Distortions of photographs, with the share of each.
        write_labels: Writes its label files.
    """

    name: str
    images: str
    scene: Scene
    scene_name: str
    painted: Mapping[str, DistortionShare]
    photographed: Mapping[str, float]
    write_labels: LabelWriter


CAMPAIGNS = (
    Campaign(
        name="eva",
        images="images/EVA_together",
        scene=street,
        scene_name="street",
        painted={"blur": DistortionShare(0.7, 1.0), "noise": DistortionShare(0.3, 0.15)},
        photographed={"blur": 1.0},
        write_labels=write_eva_labels,
    ),
    Campaign(
        name="ava",
        images="ava_images",
        scene=still_life,
        scene_name="still life",
        painted={"noise": DistortionShare(0.7, 1.0), "blur": DistortionShare(0.3, 0.15)},
        photographed={"noise": 1.0},
        write_labels=write_ava_labels,
    ),
    Campaign(
        name="koniq",
        images="1024x768",
        scene=landscape,
        scene_name="landscape",
        painted={
            "contrast": DistortionShare(0.7, 1.0),
            "noise": DistortionShare(0.2, 0.1),
            "jpeg": DistortionShare(0.1, 0.3),
        },
        photographed={"contrast": 0.6, "jpeg": 0.4},
        write_labels=write_koniq_labels,
    ),
)

"""Images in place of data sets that are missing, so that a config's steps can be timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cliqa.engine.sections import data_set_sections
from cliqa.registry import DATASETS, find
from cliqa.utils.errors import ConfigError

SIZE = (1024, 768)
"""Width and height of the images."""

IMAGES = 480
"""Of each data set: a third of them for each split."""

DIFFERENT = 6
"""Files of a data set with pixels of their own, the same in no two splits; the others are links."""


@dataclass(frozen=True)
class StandIn:
    """A scenario over images that were made up, and the sizes of the data that it stands for.

    Attributes:
        scenario: The section.
        sizes: The images of every split, by the data set's name and the split.
    """

    scenario: dict[str, Any]
    sizes: dict[tuple[str, str], int]


def missing_data_sets(scenario: Mapping[str, Any]) -> list[str]:
    """Return the folders of a scenario's data sets that do not exist."""
    if scenario.get("generate") is not None or "datasets" not in scenario:
        return []
    sections = [*data_set_sections(scenario), *data_set_sections(scenario, "evaluate_only")]
    roots = [str(section["root"]) for section in sections if "root" in section]
    return [root for root in roots if not Path(root).is_dir()]


def stand_in(scenario: Mapping[str, Any], folder: Path) -> StandIn:
    """Write images and labels for every data set of a scenario, and return it over them.

    Raises:
        ConfigError: The number of images of a data set is not known, or the scenario cuts the data
            by what the labels say.
    """
    advice = (
        "--dry-run needs the data there: put them into the folder, or set scenario.dataset_root."
    )
    if scenario.get("split_by") is not None or scenario.get("datasets") is None:
        raise ConfigError(
            f"{missing_data_sets(scenario)[0]}: no such folder, and only the labels tell the "
            f"experiences of this scenario. {advice}"
        )
    sizes: dict[tuple[str, str], int] = {}
    changed = dict(scenario)
    most = scenario.get("max_train")
    for key in ("datasets", "evaluate_only"):
        sections = []
        for index, section in enumerate(data_set_sections(scenario, key)):
            where = f"scenario.{key}[{index}]"
            component = find(DATASETS, section, where)
            options = {k: v for k, v in section.items() if k != "type"}
            known = getattr(component, "official_sizes", lambda **_: None)(**options)
            if known is None:
                raise ConfigError(
                    f"{where}: no folder {section.get('root')}, and the number of images of a "
                    f"{section.get('type')} is not known. {advice}"
                )
            name = str(section.get("name") or getattr(component, "default_name", f"set_{index}"))
            train, val, test = known
            train = train if most is None else min(train, int(most))
            sizes |= {(name, "train"): train, (name, "val"): val, (name, "test"): test}
            sections.append(_data_set(folder / name, len(sizes), bool(val)))
        if sections:
            changed[key] = sections
    return StandIn({**changed, "dataset_root": str(folder), "shared": "keep"}, sizes)


def _data_set(folder: Path, seed: int, validates: bool) -> dict[str, Any]:
    """Write a data set of images like photographs, smooth with some noise; return its section."""
    folder.mkdir()
    draw = np.random.default_rng(seed)
    splits = ("train", "val", "test") if validates else ("train", "test")
    rows = ["image,score,split"]
    for place in range(IMAGES):
        image = folder / f"{place}.jpg"
        if place < DIFFERENT:
            coarse = draw.uniform(0, 255, (12, 16, 3)).astype(np.uint8)
            smooth = np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC))
            noisy = smooth + draw.normal(0, 6, smooth.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(image)
        else:
            image.symlink_to(f"{place % DIFFERENT}.jpg")
        rows.append(f"{image.name},{place / IMAGES:.4f},{splits[place % len(splits)]}")
    (folder / "scores.csv").write_text("\n".join(rows) + "\n", encoding="ascii")
    return {
        "type": "ScoreFile",
        "root": str(folder),
        "labels": "scores.csv",
        "name": folder.name,
        "score_range": (0.0, 1.0),
        "higher_is_better": True,
        "images": ".",
        "fractions": (0.5, 0.25, 0.25) if validates else (0.5, 0.0, 0.5),
    }

"""From a scenario section to a stream of data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.base import QualityDataset
from cliqa.engine.sections import data_set_sections
from cliqa.registry import DATASETS, GENERATORS, SCENARIOS, build_component
from cliqa.transforms.pipeline import build_pipeline

OF_DATA = ("dataset_root", "generate", "datasets")
"""Keys of the section that say where the data come from."""


def build_data_sets(scenario: dict[str, Any]) -> list[QualityDataset]:
    """Write generated data if the section asks for them, and read its data sets.

    Args:
        scenario: The section.

    Raises:
        DatasetError: A data set is wrong or missing.
    """
    if scenario.get("generate") is not None:
        generator = build_component(GENERATORS, scenario["generate"], "scenario.generate")
        generator.write(Path(scenario.get("dataset_root") or "."))
    return [
        build_component(DATASETS, section, f"scenario.datasets[{index}]")
        for index, section in enumerate(data_set_sections(scenario))
    ]


def build_stream(scenario: dict[str, Any], data: Sequence[QualityDataset]) -> QualityStream:
    """Build the section's stream over data sets.

    Args:
        scenario: The section.
        data: The data sets.
    """
    section = {key: value for key, value in scenario.items() if key not in OF_DATA}
    for key in ("train_transform", "eval_transform"):
        section[key] = build_pipeline(section[key], f"scenario.{key}")
    stream: QualityStream = build_component(SCENARIOS, section, "scenario", datasets=data)
    return stream

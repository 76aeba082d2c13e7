"""From a scenario section to a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avalanche.benchmarks import CLScenario
from torch import nn

from cliqa.benchmarks.absent import AbsentDataset
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.benchmarks.random_splits import given_split
from cliqa.config.trust import TRUST, untrusted_source
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.storage import MANIFEST
from cliqa.engine.sections import data_set_sections
from cliqa.losses.ratings import wanted_by
from cliqa.registry import DATASETS, GENERATORS, SCENARIOS, build_component, find, parameters_of
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import CliqaError, ConfigError, DatasetError, TrustError, first_line
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import home_path

logger = get_logger(__name__)

OF_DATA = ("dataset_root", "generate", "datasets")
"""Keys of the section that describe where the data come from."""

TRANSFORMS = ("train_transform", "eval_transform")


def build_benchmark(scenario: dict[str, Any], learnt: Sequence[str] = ()) -> CLScenario:
    """Build a section's stream, of scores or of classes, with its data.

    Args:
        scenario: The section.
        learnt: Data sets that need not be there any more; see `build_data_sets`.

    Raises:
        ConfigError: An argument is wrong.
        DatasetError: Data are wrong or missing.
    """
    if takes_data_sets(scenario):
        return build_stream(scenario, build_data_sets(scenario, learnt))
    generate(scenario)
    section = {key: value for key, value in scenario.items() if key != "generate"}
    for key in TRANSFORMS:
        if section.get(key) is not None:
            section[key] = build_pipeline(section[key], f"scenario.{key}", quality=False)
    return build_component(SCENARIOS, section, "scenario")


def takes_data_sets(scenario: Mapping[str, Any]) -> bool:
    """Return whether a scenario takes a list of data sets; others read their own data."""
    return "datasets" in parameters_of(find(SCENARIOS, scenario, "scenario"))[0]


def generate(scenario: dict[str, Any]) -> None:
    """Generate data in the section's folder, if it has ``generate``.

    Raises:
        DatasetError: The folder holds something else.
        TrustError: An untrusted file asks for it, and the data are not there.
    """
    if scenario.get("generate") is not None:
        generator = build_component(GENERATORS, scenario["generate"], "scenario.generate")
        root = home_path(scenario.get("dataset_root") or ".")
        if untrusted_source() and not (root / MANIFEST).is_file():
            raise TrustError(
                f"{root}: its data are not there, and {untrusted_source()} would have them "
                f"generated in that folder. {TRUST}"
            )
        generator.write(root)


def build_data_sets(scenario: dict[str, Any], learnt: Sequence[str] = ()) -> list[QualityDataset]:
    """Write generated data if the section asks for them, and read its data sets.

    An `AbsentDataset` has the place of one that cannot be read and need not be.

    Args:
        scenario: The section.
        learnt: Names of the data sets that may be gone, each at its place in the stream, ``""`` at
            the places of the others.

    Raises:
        DatasetError: With what is wrong in every data set, if more than one cannot be read.
    """
    generate(scenario)
    built: list[QualityDataset] = []
    errors: list[CliqaError] = []
    for index, section in enumerate(data_set_sections(scenario)):
        name = section.get("name")
        if name is None and not scenario.get("order"):
            name = dict(enumerate(learnt)).get(index)
        try:
            built.append(build_component(DATASETS, section, f"scenario.datasets[{index}]"))
            if scenario.get("split_index") is not None and not built[-1].drawn:
                raise DatasetError(given_split(built[-1].name))
        except CliqaError as error:
            if isinstance(error, DatasetError) and name and name in learnt:
                built.append(AbsentDataset(str(name), first_line(error)))
                logger.warning("%s", built[-1].score_warnings[0])
            else:
                errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DatasetError("\n".join(map(str, errors)))
    return built


def build_stream(scenario: dict[str, Any], data: Sequence[QualityDataset]) -> QualityStream:
    """Build the section's stream over data sets."""
    section = {key: value for key, value in scenario.items() if key not in OF_DATA}
    for key in TRANSFORMS:
        section[key] = build_pipeline(section[key], f"scenario.{key}")
    stream: QualityStream = build_component(SCENARIOS, section, "scenario", datasets=data)
    return stream


def add_ratings(benchmark: CLScenario, loss: nn.Module) -> None:
    """Add what a loss reads of raters to a stream's training samples, if it reads anything.

    Raises:
        ConfigError: The stream has no raters.
        DatasetError: The labels of a data set do not tell.
    """
    wanted = wanted_by(loss)
    if wanted is None:
        return
    if not isinstance(benchmark, QualityStream):
        raise ConfigError(
            f"cl_strategy.loss: {type(loss).__name__} reads what raters said of each image, and a "
            f"{type(benchmark).__name__} has none. Use it over a 'QualityStream'."
        )
    benchmark.rate(wanted)

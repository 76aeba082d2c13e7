"""Experiences with their data set's name."""

from __future__ import annotations

from avalanche.benchmarks import CLScenario, DatasetExperience
from avalanche.benchmarks.utils import AvalancheDataset

from cliqa.benchmarks.online import Arrival
from cliqa.benchmarks.patches import Patches
from cliqa.datasets.base import QualityDataset


class NamedExperience(DatasetExperience):
    """One data set of a stream.

    Args:
        name: The data set's name in tables and file names.
        dataset: Its samples.
        index: Its place in the stream.
        patches: How training draws patches of its images; None for one sample per image.
        source: The data set itself, without transforms, where it is of images.

    Attributes:
        arrival: The chunks in which the samples arrive (`as_online`); None for all at once.
    """

    def __init__(
        self,
        name: str,
        dataset: AvalancheDataset,
        index: int,
        patches: Patches | None = None,
        source: QualityDataset | None = None,
    ) -> None:
        super().__init__(dataset=dataset, current_experience=index)
        self.name = name
        self.patches = patches
        self.arrival: Arrival | None = None
        self.source = source


def unseen_names(benchmark: CLScenario) -> list[str]:
    """Return the names of the data sets of a benchmark that are evaluated and never learnt."""
    return list(getattr(benchmark, "unseen", ()))


def evaluated_names(benchmark: CLScenario) -> list[str]:
    """Return the names of all data sets that a benchmark evaluates, those it learns first."""
    return [*benchmark.names, *unseen_names(benchmark)]

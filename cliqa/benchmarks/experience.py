"""Experiences with their data set's name."""

from __future__ import annotations

from collections.abc import Sequence

from avalanche.benchmarks import DatasetExperience
from avalanche.benchmarks.scenarios.generic_scenario import EagerCLStream
from avalanche.benchmarks.utils import AvalancheDataset

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
        self.source = source


def named_stream(
    kind: str,
    names: Sequence[str],
    datasets: Sequence[AvalancheDataset],
    patches: Patches | None = None,
    sources: Sequence[QualityDataset] | None = None,
    places: Sequence[int] | None = None,
) -> EagerCLStream[NamedExperience]:
    """Return the stream ``{kind}_stream`` with one experience for each data set.

    Args:
        kind: ``"train"``, ``"val"`` or ``"test"``.
        names: The data sets' names.
        datasets: Their samples.
        patches: As `NamedExperience`.
        sources: The data sets themselves, without transforms.
        places: Their places in the whole stream; None for 0, 1, 2 ...
    """
    behind: Sequence[QualityDataset | None] = sources or [None] * len(names)
    order = range(len(names)) if places is None else places
    experiences = [
        NamedExperience(name, dataset, index, patches, source)
        for index, name, dataset, source in zip(order, names, datasets, behind, strict=True)
    ]
    stream = EagerCLStream(kind, experiences)
    for experience, place in zip(experiences, order, strict=True):
        experience.current_experience = place  # Avalanche numbers the existing ones
    return stream

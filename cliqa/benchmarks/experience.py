"""Experiences that know their data set's name."""

from __future__ import annotations

from collections.abc import Sequence

from avalanche.benchmarks import DatasetExperience
from avalanche.benchmarks.scenarios.generic_scenario import EagerCLStream
from avalanche.benchmarks.utils import AvalancheDataset

from cliqa.benchmarks.patches import Patches


class NamedExperience(DatasetExperience):
    """One data set of a stream.

    Args:
        name: The data set's name, as it stands in tables and file names.
        dataset: Its samples.
        index: Its place in the stream.
        patches: How training draws patches of its images; None for one sample an image.
    """

    def __init__(
        self, name: str, dataset: AvalancheDataset, index: int, patches: Patches | None = None
    ) -> None:
        super().__init__(dataset=dataset, current_experience=index)
        self.name = name
        self.patches = patches


def named_stream(
    kind: str,
    names: Sequence[str],
    datasets: Sequence[AvalancheDataset],
    patches: Patches | None = None,
) -> EagerCLStream[NamedExperience]:
    """Return the stream ``{kind}_stream`` with one experience a data set."""
    experiences = [
        NamedExperience(name, dataset, index, patches)
        for index, (name, dataset) in enumerate(zip(names, datasets, strict=True))
    ]
    return EagerCLStream(kind, experiences)

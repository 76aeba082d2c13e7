"""Experiences with names, in streams with names."""

from __future__ import annotations

import torch
from avalanche.benchmarks.utils import AvalancheDataset
from torch.utils.data import TensorDataset

from cliqa.benchmarks.experience import NamedExperience


def data(count: int) -> AvalancheDataset:
    return AvalancheDataset([TensorDataset(torch.arange(count), torch.zeros(count))])


def test_an_experience_knows_its_name_place_and_data() -> None:
    experience = NamedExperience("koniq", data(3), 4)
    assert (experience.name, experience.current_experience) == ("koniq", 4)
    assert [int(sample[0]) for sample in experience.dataset] == [0, 1, 2]
    assert not hasattr(experience, "task_labels")

"""Experiences with names, in streams with names."""

from __future__ import annotations

import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.utils import AvalancheDataset
from torch.utils.data import TensorDataset

from cliqa.benchmarks.experience import NamedExperience, named_stream


def data(count: int) -> AvalancheDataset:
    return AvalancheDataset([TensorDataset(torch.arange(count), torch.zeros(count))])


def test_an_experience_knows_its_name_place_and_data() -> None:
    experience = NamedExperience("koniq", data(3), 4)
    assert (experience.name, experience.current_experience) == ("koniq", 4)
    assert [int(sample[0]) for sample in experience.dataset] == [0, 1, 2]
    assert not hasattr(experience, "task_labels")


def test_a_stream_keeps_order_and_origin() -> None:
    stream = named_stream("val", ["b", "a"], [data(1), data(2)])
    assert stream.name == "val"
    assert [(e.name, e.current_experience, len(e.dataset)) for e in stream] == [
        ("b", 0, 1),
        ("a", 1, 2),
    ]
    assert all(e.origin_stream is stream for e in stream)
    assert stream[1].name == "a"
    assert CLScenario([stream]).val_stream is stream


def test_names_and_data_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="zip"):
        named_stream("test", ["a", "b"], [data(1)])

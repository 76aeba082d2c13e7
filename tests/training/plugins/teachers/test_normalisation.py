"""The normalisation of images: read from transforms, undone and redone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.benchmarks.utils import AvalancheDataset, TransformGroups
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision import transforms
from torchvision.transforms import v2

from cliqa.training.plugins.teachers.normalisation import Normalisation, read_normalisation
from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.staged import StagedPipeline
from cliqa.utils.errors import ConfigError

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
STEP: dict[str, Any] = {"type": "Normalize", "mean": MEAN, "std": STD}
STEPS: list[dict[str, Any]] = [{"type": "ToTensor"}, STEP]


def images() -> Tensor:
    return torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def of(train: Any, evaluation: Any) -> AvalancheDataset[Any]:
    """Return a data set of Avalanche's with these transforms."""
    groups = TransformGroups({"train": train, "eval": evaluation})
    return AvalancheDataset([TensorDataset(images(), torch.zeros(2))], transform_groups=groups)


def test_it_undoes_and_redoes_what_torchvision_does() -> None:
    own = Normalisation(MEAN, STD)
    normalised = v2.functional.normalize(images(), MEAN, STD)
    assert torch.allclose(own.undo(normalised), images(), atol=1e-6)
    assert torch.allclose(own.redo(images()), normalised, atol=1e-6)
    crops = normalised[:, None].expand(2, 3, 3, 4, 5)
    assert torch.allclose(own.undo(crops)[:, 1], images(), atol=1e-6)
    own.check(normalised)


def test_one_value_stands_for_all_channels() -> None:
    assert torch.allclose(Normalisation([0.5], [0.5]).redo(images()), images() * 2 - 1, atol=1e-6)


@pytest.mark.parametrize(
    "transform",
    [
        build_pipeline(STEPS, "t"),
        StagedPipeline(build_pipeline([{"type": "Resize", "size": 4}, *STEPS], "t")),
        transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)]),
        v2.Compose([v2.RandomApply([v2.Normalize(MEAN, STD)], p=1.0)]),
    ],
    ids=["pipeline", "patches", "compose", "v2"],
)
def test_it_is_read_from_transforms(transform: Any) -> None:
    data = of(transform, transform)
    for one in (data, data.eval(), data.subset([1]), data.concat(data), [data, data.train()]):
        found = read_normalisation(one)
        assert found.mean == pytest.approx(tuple(MEAN))
        assert found.std == pytest.approx(tuple(STD))


def test_it_is_read_from_the_data_set_below_avalanches() -> None:
    below: Any = TensorDataset(images(), torch.zeros(2))
    below.transform = transforms.Normalize(MEAN, STD)
    assert read_normalisation(AvalancheDataset([below])).mean == pytest.approx(tuple(MEAN))


def test_without_such_a_step_it_is_that_of_pixels() -> None:
    found = read_normalisation(of(None, build_pipeline([{"type": "ToTensor"}], "t")))
    assert torch.equal(found.undo(images()), images())


def test_several_normalisations_are_refused() -> None:
    other = transforms.Normalize([0.5] * 3, [0.5] * 3)
    with pytest.raises(ConfigError, match=r"normalise in several ways \(mean=\[0\.4.*mean=\[0\.5"):
        read_normalisation(of(build_pipeline(STEPS, "t"), other))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((MEAN, STD[:2]), "one positive std per mean is needed"),
        (([], []), "one positive std per mean is needed"),
        (([0.5], [-1.0]), "one positive std per mean is needed"),
    ],
)
def test_mistakes_are_named(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Normalisation(*given)


def test_images_that_have_another_one_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"pixels in .* instead of 0\.\.1.*mean=\[\.\.\.\]"):
        Normalisation([0.0], [1.0]).check(images() * 4 - 2)
    with pytest.raises(ConfigError, match="pixels in nan"):
        Normalisation([0.0], [1.0]).check(images() * float("nan"))
    with pytest.raises(ConfigError, match="mean has 2 values, and the images have 3 channels"):
        Normalisation([0.5] * 2, [0.5] * 2).undo(images())

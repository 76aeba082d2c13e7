"""Ladders of images: scores at each level, and the verdict on a family."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cliqa.training.loop.batching import RaggedImages
from cliqa.training.plugins.teachers.ladders import (
    ScoredImages,
    ladder_scores,
    measure_families,
    on_each,
)
from cliqa.utils.errors import DatasetError, EvaluationError


def light(pixels: Tensor | RaggedImages) -> Tensor:
    """Return the mean of each image."""
    return torch.stack([image.mean() for image in pixels])


def test_scores_fall_along_the_ladder_of_a_family_that_the_model_sees() -> None:
    pixels = torch.full((3, 3, 8, 8), 0.5)
    scores = ladder_scores([ScoredImages(pixels, light)], "darken", 3, seed=0)
    expected = 0.5 * torch.tensor([1.0, 0.8, 0.5, 0.2])  # the image itself, then the wide ladder
    assert torch.allclose(scores, expected.expand(3, 4))


def test_images_of_several_sizes_and_batches_are_joined() -> None:
    sizes = RaggedImages([torch.full((3, 8, 8), 0.5), torch.full((2, 3, 6, 9), 0.4)])
    batches = [ScoredImages(sizes, light), ScoredImages(torch.full((1, 3, 5, 5), 1.0), light)]
    scores = ladder_scores(batches, "darken", 1, seed=0)
    assert torch.allclose(scores[:, 0], torch.tensor([0.5, 0.4, 1.0]))
    assert torch.allclose(scores[:, 1], 0.8 * scores[:, 0])
    assert isinstance(on_each(sizes, torch.neg), RaggedImages)


def test_all_levels_share_their_noise() -> None:
    seen: list[Tensor] = []

    def keep(pixels: Tensor | RaggedImages) -> Tensor:
        assert isinstance(pixels, Tensor)
        seen.append(pixels)
        return light(pixels)

    pixels = torch.full((2, 3, 8, 8), 0.5)
    ladder_scores([ScoredImages(pixels, keep)], "noise", 3, seed=4)
    mild, middle = (level - pixels for level in seen[1:3])
    assert torch.allclose(middle / 0.09, mild / 0.02, atol=1e-3)


def test_the_verdict_says_why() -> None:
    ladders = {
        "blur": torch.tensor([[0.9, 0.6, 0.3]]),
        "noise": torch.tensor([[0.1, 0.2, 0.3]]),
        "jpeg": torch.tensor([[0.5, 0.5, 0.4]]),
    }
    found = measure_families(ladders.__getitem__, list(ladders), threshold=0.8)
    assert [one.kept for one in found] == [True, False, True]
    assert [one.rank_accuracy for one in found] == pytest.approx([1, 0, 2.5 / 3])
    assert [one.drop for one in found] == pytest.approx([0.6, -0.2, 0.1])
    assert {one.pairs for one in found} == {3}
    assert found[1].reason == "rank accuracy 0.000 < 0.8"
    assert [str(one) for one in found] == ["blur 1.00", "noise 0.00", "jpeg 0.83"]


def test_what_cannot_be_applied_is_not_kept_or_refused() -> None:
    def score(family: str) -> Tensor:
        raise DatasetError(f"{family}: only RGB has colours")

    (found,) = measure_families(score, ["saturation"], 0.8)
    assert (found.kept, found.rank_accuracy, found.pairs) == (False, None, 0)
    assert found.reason == "saturation: only RGB has colours"
    assert str(found) == "saturation"
    with pytest.raises(DatasetError, match="only RGB has colours"):
        measure_families(score, ["saturation"], 0.8, strict=True)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(EvaluationError, match="one is NaN or infinite"):
        measure_families(lambda _: torch.tensor([[0.1, float("nan")]]), ["blur"], 0.8)

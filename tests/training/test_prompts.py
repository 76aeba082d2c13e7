from __future__ import annotations

import pytest
import torch

from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.training.prompts import candidate_shares, drawn_prompts, prompt_positives

PETS = CandidateTexts(("cat", "dog"), (("a cat.", "one cat.", "cats."), ("a dog.",)))
LEVELS = CandidateTexts(
    ("good", "fair", "bad"), (("Good.", "Fine."), ("Fair.",), ("Bad.", "Poor.")), (1.0, 0.5, 0.0)
)


def test_a_class_is_wholly_its_own() -> None:
    found = candidate_shares(PETS, torch.tensor([1, 0]))
    assert found.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_a_score_is_shared_by_the_levels_about_it() -> None:
    found = candidate_shares(LEVELS, torch.tensor([0.6, 0.0], dtype=torch.float64))
    assert torch.allclose(found, torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]]))


def test_every_prompt_of_the_class_is_drawn_as_often() -> None:
    draws = torch.rand(6000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = drawn_prompts(PETS, torch.zeros(6000), draws).bincount(minlength=4).tolist()
    assert counts[3] == 0
    assert counts[:3] == pytest.approx([2000] * 3, rel=0.06)
    highest = torch.full((2,), 1 - 2**-53, dtype=torch.float64)
    assert drawn_prompts(PETS, torch.tensor([0, 1]), highest).tolist() == [2, 3]


def test_a_score_gets_a_prompt_of_the_level_next_to_it() -> None:
    scores = torch.tensor([0.9, 0.7, 0.3, 0.2, 0.0])
    assert drawn_prompts(LEVELS, scores, torch.full((5,), 0.6)).tolist() == [1, 2, 2, 4, 4]


def test_prompts_of_one_class_are_all_its_positives() -> None:
    found = prompt_positives(PETS, torch.tensor([0, 1]), torch.tensor([0, 2, 3]))
    assert found.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


def test_prompts_of_a_level_share_what_belongs_to_it() -> None:
    found = prompt_positives(LEVELS, torch.tensor([0.6, 0.25]), torch.tensor([0, 1, 2, 4]))
    expected = torch.tensor([[0.1, 0.1, 0.8, 0.0], [0.0, 0.0, 0.5, 0.5]])
    assert torch.allclose(found, expected)
    without = prompt_positives(LEVELS, torch.tensor([0.6]), torch.tensor([2]))
    assert torch.allclose(without, torch.tensor([[0.8]]))

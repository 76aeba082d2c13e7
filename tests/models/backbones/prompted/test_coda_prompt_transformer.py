"""CODA-Prompt's transformer against the formula written with the blocks themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.backbones.prompted.coda_prompt_transformer import (
    CODAPromptTransformer,
    orthogonal_to,
)
from cliqa.utils.errors import ConfigError


def coda(backbone: Any, **more: Any) -> CODAPromptTransformer:
    torch.manual_seed(0)
    sizes = {"pool_size": 6, "experiences": 3, "blocks": (0, 2), "length": 4}
    return CODAPromptTransformer(backbone, **{**sizes, **more}).eval()


def randomised(model: CODAPromptTransformer) -> CODAPromptTransformer:
    """Give every prompt, key and attention vector random numbers."""
    for pool in (model.components, model.attention, model.keys):
        for part in pool:
            nn.init.normal_(part)
    return model


def rows(pool: nn.ParameterList, block: int, experiences: int) -> Tensor:
    """Return a block's vectors of the first experiences, (n, F)."""
    return torch.cat([part[block] for part in list(pool)[:experiences]]).flatten(1)


@pytest.mark.parametrize("training", [False, True])
def test_it_is_the_papers_formula(
    training: bool, small_vit: Any, five_images: Tensor, with_prefixes: Callable[..., Tensor]
) -> None:
    model = randomised(coda(small_vit)).train(training)
    model.learnt.fill_(2)  # 4 of the 6 components
    expected = []
    for image in five_images:
        query = model.body(image[None])[-1][0]  # (D,)
        prefixes = {}
        for place, block in enumerate(model.blocks):
            prompt = torch.zeros(4, 16)
            for m in range(4):
                key, attention = rows(model.keys, place, 3)[m], rows(model.attention, place, 3)[m]
                weight = F.cosine_similarity(query * attention, key, dim=0)
                prompt = prompt + weight * model.components[m // 2][place, m % 2]
            prefixes[block] = prompt.unflatten(0, (2, 2))
        expected.append(with_prefixes(model.body, image, prefixes))
    torch.testing.assert_close(model(five_images)[0], torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_the_penalty_is_the_papers(small_vit: Any) -> None:
    model = coda(small_vit).train()
    model.learnt.fill_(2)
    assert model.penalty().item() == pytest.approx(0.0, abs=1e-9)  # begins orthogonal
    randomised(model)
    expected = 0.0
    for pool in (model.components, model.attention, model.keys):
        for block in range(2):
            found = rows(pool, block, 2).detach()
            expected += float((found @ found.T - torch.eye(4)).pow(2).sum())
    assert model.penalty().item() == pytest.approx(expected, rel=1e-5)


def test_only_the_current_experiences_components_are_trained(
    small_vit: Any, five_images: Tensor
) -> None:
    model = coda(small_vit).train()
    model.begin(1)
    (model(five_images)[0].square().sum() + model.penalty()).backward()
    trained = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained == {"components.1", "attention.1", "keys.1"}


def test_an_experience_begins_orthogonal_to_what_was_learnt(small_vit: Any) -> None:
    model = coda(small_vit)
    for part in (model.components[0], model.attention[0], model.keys[0]):
        nn.init.normal_(part)
    learnt = [part.clone() for part in (model.components[0], model.keys[0])]
    model.begin(1)
    assert int(model.learnt) == 2
    assert torch.equal(model.components[0], learnt[0])
    assert torch.equal(model.keys[0], learnt[1])
    for pool in (model.components, model.attention, model.keys):
        for block in range(2):
            new, old = pool[1][block].flatten(1), pool[0][block].flatten(1)
            torch.testing.assert_close(new @ new.T, torch.eye(2), rtol=0, atol=1e-5)
            torch.testing.assert_close(new @ old.T, torch.zeros(2, 2), rtol=0, atol=1e-5)


def test_gram_schmidt() -> None:
    earlier = torch.tensor([[3.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]])
    new = torch.tensor([[7.0, 7.0, -2.0, 0.0], [0.0, 1.0, 5.0, 4.0]])
    expected = torch.tensor([[0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    torch.testing.assert_close(orthogonal_to(earlier, new), expected, rtol=0, atol=1e-6)


def test_numbers_are_checked(small_vit: Any) -> None:
    with pytest.raises(ConfigError, match="pool_size=17 vectors of 16 numbers cannot be orthogon"):
        coda(small_vit, pool_size=17)
    with pytest.raises(ConfigError, match="pool_size=2 leaves no component for some of the"):
        coda(small_vit, pool_size=2)
    with pytest.raises(ConfigError, match="length must be even, half of it keys, got 3"):
        coda(small_vit, length=3)
    with pytest.raises(ConfigError, match="CODAPromptTransformer: blocks has block 4"):
        coda(small_vit, blocks=(0, 4))

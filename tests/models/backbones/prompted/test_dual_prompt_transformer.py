"""DualPrompt's transformer against the formula written with the blocks themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.backbones.prompted.dual_prompt_transformer import DualPromptTransformer
from cliqa.utils.errors import ConfigError


def dual(backbone: Any, **more: Any) -> DualPromptTransformer:
    torch.manual_seed(0)
    sizes = {"experiences": 3, "general_blocks": (0, 1), "expert_blocks": (1, 3)}
    model = DualPromptTransformer(
        backbone, **{**sizes, "general_length": 3, "expert_length": 2, **more}
    )
    for prompt in (model.general, *model.experts, *model.keys):
        nn.init.normal_(prompt)
    return model.eval()


def expected(model: Any, image: Tensor, expert: int, run: Callable[..., Tensor]) -> Tensor:
    """Return the output with an expert prompt: block 1 has both kinds."""
    own = model.experts[expert]
    both = torch.cat([model.general[1], own[0]], dim=1)
    return run(model.body, image, {0: model.general[0], 1: both, 3: own[1]})


def test_it_is_the_papers_formula(
    small_vit: Any, five_images: Tensor, with_prefixes: Callable[..., Tensor]
) -> None:
    model = dual(small_vit)
    model.learnt.fill_(2)  # the third key is not learnt, and never chosen
    query = model.body(five_images)[-1]
    cosines = F.cosine_similarity(query[:, None], torch.stack(list(model.keys))[None], dim=2)
    nearest = cosines[:, :2].argmax(1).tolist()
    cases = zip(five_images, nearest, strict=True)
    each = [expected(model, image, expert, with_prefixes) for image, expert in cases]
    torch.testing.assert_close(model(five_images)[0], torch.stack(each), rtol=1e-5, atol=1e-5)

    found: list[Tensor] = []
    model.train().matches = found
    each = [expected(model, image, 1, with_prefixes) for image in five_images]
    torch.testing.assert_close(model(five_images)[0], torch.stack(each), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[0], cosines[:, 1])


def test_each_image_has_the_prompt_of_its_own_nearest_key(
    small_vit: Any, five_images: Tensor
) -> None:
    model = dual(small_vit)
    query = model.query(five_images)
    model.learnt.fill_(3)
    with torch.no_grad():
        for place, key in enumerate(model.keys):
            key.copy_(query[place + 1])
        found = model(five_images[1:4])[0]
        model.train()
        for place in range(3):
            model.learnt.fill_(place + 1)
            own = model(five_images[place + 1 : place + 2])[0][0]
            torch.testing.assert_close(found[place], own, rtol=1e-5, atol=1e-5)


def test_only_the_current_experience_and_the_general_prompt_are_trained(
    small_vit: Any, five_images: Tensor
) -> None:
    model = dual(small_vit).train()
    model.begin(1)
    assert torch.equal(model.experts[1], model.experts[0])
    assert not torch.equal(model.keys[1], model.keys[0])
    assert not model.body.training
    found: list[Tensor] = []
    model.matches = found
    model(five_images)[0].square().sum().backward()
    found[0].sum().backward()
    trained = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained == {"general", "experts.1", "keys.1"}


def test_numbers_are_checked(small_vit: Any) -> None:
    with pytest.raises(ConfigError, match="DualPromptTransformer: expert_blocks has block 4"):
        DualPromptTransformer(small_vit)
    with pytest.raises(ConfigError, match="experiences must be an integer >= 1, got 0"):
        dual(small_vit, experiences=0)
    with pytest.raises(ConfigError, match="general_length must be an integer >= 1"):
        dual(small_vit, general_length=0)
    with pytest.raises(ConfigError, match="DualPromptTransformer: backbone 'SmallConvNet' is no v"):
        dual({"type": "SmallConvNet", "in_channels": 3})

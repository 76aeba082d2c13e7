from __future__ import annotations

import pytest
import torch

from cliqa.models.heads.cosine import CosineScoreHead
from cliqa.models.heads.features import feature_vectors
from cliqa.models.heads.linear import LinearScoreHead
from cliqa.utils.errors import ModelError


def test_the_last_of_several_features_is_taken() -> None:
    first, last = torch.zeros(2, 3), torch.ones(2, 5)
    assert feature_vectors((first, last), 5) is last
    assert feature_vectors(last, 5) is last


def test_another_length_is_refused_with_the_right_one() -> None:
    with pytest.raises(ModelError, match=r"in_channels=3, .* \(2, 5\)\. Set in_channels=5 in mod"):
        feature_vectors(torch.zeros(2, 5), 3)


def test_maps_are_refused() -> None:
    with pytest.raises(ModelError, match=r"shape \(2, 3, 4, 4\)\. Pool the maps first: neck="):
        feature_vectors(torch.zeros(2, 3, 4, 4), 3)


@pytest.mark.parametrize("kind", [LinearScoreHead, CosineScoreHead])
def test_mixed_precision_does_not_coarsen_the_score(
    kind: type[LinearScoreHead] | type[CosineScoreHead],
) -> None:
    torch.manual_seed(0)  # of two hundred scores in a narrow band, two may be equal by chance
    head = kind(16)
    vectors = torch.rand(200, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = head(vectors)
        from_half = head(vectors.bfloat16())
    assert scores.dtype == from_half.dtype == torch.float32
    assert torch.equal(scores, head(vectors))
    assert len(scores.unique()) == 200


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", [LinearScoreHead, CosineScoreHead])
def test_a_head_of_another_precision_keeps_it(
    kind: type[LinearScoreHead] | type[CosineScoreHead], dtype: torch.dtype
) -> None:
    head = kind(16).to(dtype)
    assert head(torch.rand(2, 16)).dtype == dtype


@pytest.mark.filterwarnings("ignore")
def test_a_head_without_parameters_takes_float32() -> None:
    head = LinearScoreHead(16)
    vectors = torch.rand(2, 16)
    quantised = torch.ao.quantization.quantize_dynamic(head, {torch.nn.Linear})
    assert not list(quantised.parameters())
    torch.testing.assert_close(quantised(vectors.bfloat16()), head(vectors), atol=0.02, rtol=0)

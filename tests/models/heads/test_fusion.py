from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cliqa.models.heads.fusion import FusionHead, place_features
from cliqa.utils.errors import ConfigError, ModelError


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def head() -> FusionHead:
    torch.manual_seed(0)
    made = FusionHead(6, 5, width=8, heads=2)
    torch.nn.init.normal_(made.readout.weight)
    return made


REGIONS, WORDS = random(3, 6, 2, 3), random(4, 7, 5, seed=1)
LENGTHS = torch.tensor([7, 4, 1, 5])
MASK = torch.arange(7) < LENGTHS[:, None]


def test_it_is_what_plain_loops_give(head: FusionHead) -> None:
    """One image, one prompt and one word at a time."""
    places = head.place(place_features(2, 3))
    fits = head(REGIONS, WORDS, MASK).detach()
    for b in range(3):
        regions = REGIONS[b].reshape(6, -1).T  # (n, C)
        keys, values = head.key(regions) + places, head.image(regions)
        for p in range(4):
            words = WORDS[p, : int(LENGTHS[p])]
            weights = torch.softmax(torch.stack([head.readout(w)[0] for w in words]), 0)
            total = torch.zeros(())
            for weight, word in zip(weights, words, strict=True):
                query, parts = head.query(word), []
                for h in (slice(0, 4), slice(4, 8)):
                    shares = torch.softmax(keys[:, h] @ query[h] / math.sqrt(4), 0)
                    parts.append(shares @ values[:, h])
                cosine = torch.cosine_similarity(torch.cat(parts), head.text(word), dim=0)
                total = total + weight * cosine
            assert float(fits[b, p]) == pytest.approx(float(total.detach()) / 0.07, rel=1e-4)


def test_a_word_attends_to_all_regions_and_weighs_against_its_prompt(head: FusionHead) -> None:
    shares = head.attention(REGIONS, WORDS)
    assert shares.shape == (3, 2, 4, 7, 6)
    assert torch.allclose(shares.sum(-1), torch.ones(3, 2, 4, 7))
    weights = head.word_weights(WORDS, MASK)
    assert torch.allclose(weights.sum(1), torch.ones(4))
    assert not weights[~MASK].any()


def test_words_that_are_not_there_change_nothing(head: FusionHead) -> None:
    other = torch.where(MASK[..., None], WORDS, 9.0)
    assert torch.equal(head(REGIONS, other, MASK), head(REGIONS, WORDS, MASK))


def test_where_a_region_lies_matters(head: FusionHead) -> None:
    """A bag of regions could not tell a collar from a heel."""
    flipped = head(REGIONS.flip(3), WORDS, MASK)
    assert not torch.allclose(flipped, head(REGIONS, WORDS, MASK), atol=1e-3)
    with torch.no_grad():
        head.place.weight.zero_()
    assert torch.allclose(head(REGIONS.flip(3), WORDS, MASK), head(REGIONS, WORDS, MASK), atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3), (1, 4), (7, 5)])
def test_no_two_places_are_alike(shape: tuple[int, int]) -> None:
    found = place_features(*shape)
    assert len(found) == shape[0] * shape[1]
    assert torch.pdist(found).min() > 0.1


def test_the_first_half_tells_the_row_and_the_second_the_column() -> None:
    """Places stand row by row; a trained head's weights hang on it."""
    found = place_features(2, 3).unflatten(0, (2, 3))  # (rows, columns, 16)
    assert torch.equal(found[:, 0, :8], found[:, 2, :8])
    assert torch.equal(found[0, :, 8:], found[1, :, 8:])
    assert not torch.allclose(found[0, :, :8], found[1, :, :8])
    assert not torch.allclose(found[:, 0, 8:], found[:, 1, 8:])


def test_places_do_not_depend_on_the_size_of_the_map() -> None:
    middle = place_features(1, 1)[0]
    assert torch.allclose(place_features(3, 3)[4], middle, atol=1e-6)
    assert torch.allclose(place_features(5, 7)[17], middle, atol=1e-6)


def test_a_head_starts_with_words_of_equal_weight() -> None:
    weights = FusionHead(6, 5, width=8).word_weights(WORDS, MASK)
    assert torch.allclose(weights, MASK / LENGTHS[:, None])


def test_the_whole_image_is_the_mean_of_its_regions(head: FusionHead) -> None:
    expected = head.embed_image(REGIONS.flatten(2).mean(2))
    assert torch.allclose(head.image_vectors(REGIONS, WORDS, MASK), expected, atol=1e-6)


def test_it_is_computed_in_full_precision(head: FusionHead) -> None:
    expected = head(REGIONS.bfloat16().float(), WORDS, MASK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head(REGIONS.bfloat16(), WORDS, MASK)
    assert torch.equal(found, expected)


def test_wrong_sizes_are_refused(head: FusionHead) -> None:
    with pytest.raises(ConfigError, match="heads=3 does not divide width=8"):
        FusionHead(6, 5, width=8, heads=3)
    with pytest.raises(ConfigError, match="heads"):
        FusionHead(6, 5, width=8, heads=0)
    message = r"takes maps \(B, 6, h, w\), got shape \(3, 7, 2, 2\)\. Set in_channels"
    with pytest.raises(ModelError, match=message):
        head(random(3, 7, 2, 2), WORDS, MASK)

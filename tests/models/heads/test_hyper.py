from __future__ import annotations

import pytest
import torch

from cliqa.models.heads.hyper import HyperHead
from cliqa.utils.errors import ConfigError, ModelError


def head(**arguments: object) -> HyperHead:
    torch.manual_seed(0)
    return HyperHead(in_channels=4, sizes=(28, 14, 7), **arguments)  # type: ignore[arg-type]


def inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    maps = torch.rand(batch, 4, 7, 7, generator=random)
    return torch.rand(batch, 28, generator=random), maps


def test_it_scores_with_the_network_that_it_makes() -> None:
    own = head().eval()
    vectors, maps = inputs()
    weights, biases = own.hypernet(maps)
    assert torch.equal(own((vectors, maps)), own.target_net(vectors, weights, biases))
    assert own(inputs(1)).shape == (1,)


@pytest.mark.parametrize("score_range", [(0, 1), (0, 100), (-5.0, 3.0)])
def test_scores_start_near_the_middle_on_any_scale(score_range: tuple[float, float]) -> None:
    own = head(score_range=score_range).eval()
    assert (own(inputs()) - 0.5).abs().max() < 0.3


def test_a_hundred_raw_points_are_one() -> None:
    plain, percent = head().eval(), head(score_range=(0, 100)).eval()
    percent.load_state_dict(plain.state_dict())
    torch.testing.assert_close(percent(inputs()) * 100, plain(inputs()))


def test_scores_keep_full_precision_under_autocast() -> None:
    own = head().eval()
    vectors, maps = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        scores = own((vectors, maps))
    assert scores.dtype == torch.float32
    assert torch.equal(scores, own((vectors, maps)))
    assert own((vectors.bfloat16(), maps.bfloat16())).dtype == torch.float32


def test_dropout_acts_in_training_alone() -> None:
    own = head(dropout=0.5)
    assert not torch.equal(own(inputs()), own(inputs()))
    assert torch.equal(own.eval()(inputs()), head().eval()(inputs()))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"score_range must be \(lowest, highest\), got \(1, 0\)"):
        head(score_range=(1, 0))
    with pytest.raises(ConfigError, match=r"HyperHead: dropout must be .* got -0\.1"):
        head(dropout=-0.1)
    vectors, maps = inputs()
    with pytest.raises(ModelError, match=r"takes vectors \(B, 28\), got shape \(3, 27\)"):
        head()((vectors[:, 1:], maps))

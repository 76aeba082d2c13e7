from __future__ import annotations

import pytest
import torch

from cliqa.models.necks.map_statistics import EPSILON, STATISTICS, MapStatistics, map_statistics
from cliqa.utils.errors import ConfigError, ModelError


def test_statistics_are_those_over_positions() -> None:
    level = torch.randn(2, 3, 5, 4)
    found = map_statistics([level], ["mean", "std", "log_std", "quantiles"])
    flat = level.flatten(2)
    std = flat.std(2, unbiased=False)
    torch.testing.assert_close(found[:, :3], flat.mean(2))
    torch.testing.assert_close(found[:, 3:6], std)
    torch.testing.assert_close(found[:, 6:9], std.log(), rtol=1e-4, atol=1e-4)
    quantiles = torch.quantile(flat, torch.tensor([0.1, 0.5, 0.9]), dim=2)  # (3, B, C)
    torch.testing.assert_close(found[:, 9:], torch.cat(list(quantiles), dim=1))


def test_high_pass_ignores_slow_changes() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    checks = (torch.arange(8) % 2).float().expand(1, 1, 8, 8)
    slow, fast = (map_statistics([level], ["high_pass"]).item() for level in (ramp, checks))
    assert fast > slow


def test_levels_follow_one_another_and_vectors_stay() -> None:
    maps = [torch.randn(2, 3, 4, 4), torch.randn(2, 5), torch.randn(2, 2, 1, 1)]
    (found,) = MapStatistics(["mean", "std"])(maps)
    assert found.shape == (2, 3 * 2 + 5 + 2 * 2)
    assert torch.equal(found[:, 6:11], maps[1])
    assert not found[:, -2:].any()  # one position varies by nothing


@pytest.mark.parametrize("name", STATISTICS)
def test_a_constant_map_gives_finite_numbers_and_gradients(name: str) -> None:
    level = torch.ones(1, 2, 3, 3, requires_grad=True)
    found = map_statistics([level], [name])
    assert found.isfinite().all()
    found.sum().backward()
    assert level.grad is not None
    assert level.grad.isfinite().all()
    if name == "log_std":
        assert found[0, 0].item() == pytest.approx(0.5 * torch.tensor(EPSILON).log().item())


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="statistics must be a list of mean, std"):
        MapStatistics([])
    with pytest.raises(ConfigError, match="statistics must be a list"):
        MapStatistics("mean")
    with pytest.raises(ConfigError, match="'sd'"):
        MapStatistics(["sd"])
    with pytest.raises(ModelError, match=r"got shape \(2, 3, 4\)"):
        map_statistics([torch.zeros(2, 3, 4)], ["mean"])

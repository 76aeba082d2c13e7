"""Tests of what the three data sets are made of."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.campaigns import CAMPAIGNS, Campaign
from cliqa.demo_data.distortions import DISTORTIONS

each = pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: campaign.name)


@each
def test_shares_sum_to_one_and_every_defect_costs_something(campaign: Campaign) -> None:
    assert sum(defect.share for defect in campaign.painted.values()) == pytest.approx(1.0)
    assert sum(campaign.photographed.values()) == pytest.approx(1.0)
    assert {*campaign.painted, *campaign.photographed} <= set(DISTORTIONS)
    assert all(0.0 < defect.impact <= 1.0 for defect in campaign.painted.values())


def test_what_one_crowd_minds_another_hardly_does() -> None:
    eva, ava, koniq = (campaign.painted for campaign in CAMPAIGNS)
    assert eva["blur"].impact > 5 * ava["blur"].impact
    assert ava["noise"].impact > 5 * max(eva["noise"].impact, koniq["noise"].impact)


@each
@pytest.mark.parametrize("size", [32, 75])
def test_scenes_follow_from_the_seed(campaign: Campaign, size: int) -> None:
    image = campaign.scene(size, np.random.default_rng(1))
    assert image.shape == (size, size, 3)
    assert image.dtype == np.float32
    assert image.min() >= 0.0
    assert image.max() <= 1.0
    assert image.std() > 0.05
    assert np.array_equal(image, campaign.scene(size, np.random.default_rng(1)))
    assert not np.array_equal(image, campaign.scene(size, np.random.default_rng(2)))

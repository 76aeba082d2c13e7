from __future__ import annotations

import pytest
import torch

from cliqa.models.heads.features import feature_vectors
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

from __future__ import annotations

import torch

from cliqa.transforms.conversion import ToTensor


def test_levels_become_fractions_and_fractions_stay() -> None:
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1)
    converted = ToTensor()(image)
    assert converted.dtype == torch.float32
    torch.testing.assert_close(converted.flatten(), torch.tensor([0.0, 0.2, 1.0]))
    assert torch.equal(ToTensor()(converted), converted)

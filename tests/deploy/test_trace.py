"""What PyTorch's exporter says, in a line."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.trace import reason_of, trace
from cliqa.utils.errors import ModelError

pytest.importorskip("onnxscript")


def test_a_reason_is_a_line() -> None:
    exporter = (
        "Failed.\n\x1b[96mThis is step 1/3\x1b[0m.\n- Modify the code\n\n## Exception summary\n\n"
        "<class 'NotImplementedError'>: \nThe inequality cannot be solved.\n\nmore"
    )
    assert (
        reason_of(RuntimeError(exporter)) == "NotImplementedError: The inequality cannot be solved"
    )
    runtime = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status. Status Message: 17 by 49"
    assert reason_of(RuntimeError(runtime)) == "17 by 49"
    assert reason_of(ValueError()) == "ValueError"
    assert len(reason_of(ValueError("word " * 999))) <= 240


class Branch(nn.Module):
    """What depends on the values of the images."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum((1, 2, 3)) if bool(images.sum() > 0) else images.mean((1, 2, 3))


def test_what_cannot_be_traced_is_named() -> None:
    with pytest.raises(ModelError, match=r"export the Branch for batches of any size \(.+\)"):
        trace(Branch(), torch.zeros(2, 3, 8, 8), any_size=False)

"""What PyTorch's exporter says, in a line."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.onnx.trace import reason_of, trace
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


def test_nothing_is_said_and_others_may_speak_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    def export(*_: Any, **__: Any) -> None:
        logging.getLogger("torch.onnx").error("step 1 of 3")
        sys.stdout.write("step 2 of 3")
        sys.stderr.write("step 3 of 3")
        warnings.warn("deprecated", UserWarning, stacklevel=1)
        raise RuntimeError("no such operator")

    monkeypatch.setattr("torch.onnx.export", export)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match="no such operator"):
            trace(Branch(), torch.zeros(2, 3, 8, 8), any_size=False)
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")
    logging.getLogger("cliqa").warning("afterwards")
    assert [record.message for record in caplog.records] == ["afterwards"]


def test_what_cannot_be_traced_is_named() -> None:
    with pytest.raises(ModelError, match=r"export the Branch for batches of any size \(.+\)"):
        trace(Branch(), torch.zeros(2, 3, 8, 8), any_size=False)

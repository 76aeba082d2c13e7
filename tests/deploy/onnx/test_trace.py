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
from cliqa.models.mmpretrain_bridge import build_part
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


@pytest.mark.parametrize(
    "own",
    [
        {"type": "DualPromptTransformer", "general_blocks": [0], "expert_blocks": [0, 1]},
        {"type": "CODAPromptTransformer", "pool_size": 9, "blocks": [0, 1]},
    ],
    ids=lambda own: own["type"],
)
def test_prompts_chosen_by_the_image_are_traced(own: dict[str, Any]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    arch = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
    vit = {"type": "VisionTransformer", "arch": arch, "img_size": 16, "patch_size": 4}
    torch.manual_seed(0)
    network: Any = build_part({**own, "backbone": vit, "experiences": 3}, "backbone")
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.5)
    network.learnt.fill_(2)
    network.eval()
    model = nn.Sequential(network, OnlyOne()).eval()
    proto = trace(model, torch.rand(2, 3, 16, 16), any_size=False)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    images = torch.rand(7, 3, 16, 16)
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    torch.testing.assert_close(torch.tensor(found), model(images), rtol=1e-3, atol=1e-3)


class OnlyOne(nn.Module):
    """The one output of a backbone."""

    def forward(self, outputs: tuple[Tensor]) -> Tensor:
        return outputs[0]

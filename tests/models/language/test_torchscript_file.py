"""TorchScript archives, read without running them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.language.clip_files import clip_state
from cliqa.models.language.torchscript_file import read_torchscript
from cliqa.utils.errors import ModelError

MARK = "RAN"


class Net(nn.Module):
    """A module with parameters and buffers of several types, and lists."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.layers = nn.ModuleList([nn.Linear(4, 2).half(), nn.Linear(2, 1).bfloat16()])
        self.view = nn.Parameter(torch.randn(4, 3).t())
        self.sizes = [1, 2, 3]
        self.register_buffer("empty", torch.empty(0))
        self.register_buffer("flags", torch.tensor([True, False]))

    def forward(self, images: Tensor) -> Tensor:
        """Return a vector."""
        return self.norm(self.conv(images)).mean()


class Acting(nn.Module):
    """A module that writes a file when TorchScript loads it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.weight: Any = nn.Parameter(torch.arange(2.0))
        self.path = path

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, str, bool]:
        return (self.weight, self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, str, bool]) -> None:
        torch.save(state[0], state[1])
        self.weight = state[0]
        self.path = state[1]
        self.training = state[2]

    def forward(self, images: Tensor) -> Tensor:
        """Return the images."""
        return images


@pytest.mark.parametrize("how", ["scripted", "traced"])
def test_the_tensors_are_those_of_torchscript(how: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, path = Net().eval(), tmp_path / "net.pt"
    made = (
        torch.jit.script(net)
        if how == "scripted"
        else torch.jit.trace(net, torch.zeros(1, 3, 8, 8))
    )
    torch.jit.save(made, str(path))
    wanted, found = torch.jit.load(str(path)).state_dict(), read_torchscript(path)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_code_of_an_archive_does_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "acting.pt", tmp_path / MARK
    torch.jit.save(torch.jit.script(Acting(str(mark))), str(path))
    mark.unlink(missing_ok=True)
    clip_state(path)
    assert not mark.exists()
    torch.jit.load(str(path))  # what TorchScript does
    assert mark.exists()


@pytest.mark.parametrize(
    ("pickled", "compression", "message"),
    [
        (b"cos\nsystem\n(S'touch RAN'\ntR.", zipfile.ZIP_STORED, "it names os.system"),
        (b"cbuiltins\neval\n(S'1'\ntR.", zipfile.ZIP_STORED, "it names builtins.eval"),
        (b"ctorch.hub\nload\n(S'1'\ntR.", zipfile.ZIP_STORED, "it names torch.hub.load"),
        (
            b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI1\ntQ.",
            zipfile.ZIP_DEFLATED,
            "compr",
        ),
        (
            b"(S'storage'\nctorch\nFloatStorage\nS'9'\nS'cpu'\nI1\ntQ.",
            zipfile.ZIP_STORED,
            "no item",
        ),
        (b"I3\n", zipfile.ZIP_STORED, "Ran out of input"),
    ],
)
def test_an_archive_of_something_else_is_refused(
    pickled: bytes,
    compression: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("evil.pt", "w") as archive:
        archive.writestr("evil/constants.pkl", b"")
        archive.writestr("evil/data.pkl", pickled)
        archive.writestr("evil/data/0", bytes(4), compression)
    with pytest.raises(
        ModelError, match=rf"evil\.pt: a damaged TorchScript archive, or .*{message}"
    ):
        clip_state(Path("evil.pt"))
    assert not Path(MARK).exists()

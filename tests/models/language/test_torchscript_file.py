from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cliqa.models.language.torchscript_file import is_torchscript, read_torchscript
from cliqa.utils.archive import ArchiveError


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.mask = torch.zeros(3)  # neither a parameter nor a buffer
        self.scale = nn.Parameter(torch.rand(3).half())
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3, bias=False))
        self.register_buffer("size", torch.tensor(224))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.layer(x)) + self.mask
        return self.inner(x * self.scale.float()) + self.size


class Writer(nn.Module):
    """A module whose TorchScript writes a file when it is loaded."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        torch.save(torch.ones(1), self.path)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    model = Block().eval()
    torch.jit.save(torch.jit.trace(model, torch.zeros(2, 2)), str(tmp_path / "a.pt"))
    return tmp_path / "a.pt"


def rewritten(archive: Path, change: dict[str, bytes]) -> Path:
    """Return a copy of an archive with some entries changed."""
    path = archive.with_name("other.pt")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change.get(name.partition("/")[2], old.read(name)))
    return path


def test_the_tensors_are_those_of_torchs_own_reader(archive: Path) -> None:
    expected = torch.jit.load(str(archive)).state_dict()
    found = read_torchscript(archive)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert found["scale"].dtype == torch.float16
    assert is_torchscript(archive)


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("text")
    paths = [tmp_path / name for name in ("state.pt", "text.pt", "none.pt")]
    assert not any(map(is_torchscript, paths))


def test_code_that_runs_on_loading_is_not_run(tmp_path: Path) -> None:
    target = tmp_path / "written"
    try:
        scripted = torch.jit.script(Writer(str(target)))
        torch.jit.save(scripted, str(tmp_path / "a.pt"))
    except (RuntimeError, OSError, AttributeError) as error:
        pytest.skip(f"this PyTorch writes no such archive: {error}")
    target.unlink(missing_ok=True)
    read_torchscript(tmp_path / "a.pt")
    assert not target.exists()


def test_a_pickle_that_calls_anything_is_refused(archive: Path, tmp_path: Path) -> None:
    class Call:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "called",)

    path = rewritten(archive, {"data.pkl": pickle.dumps(Call(), protocol=2)})
    with pytest.raises(ArchiveError, match="and not only tensors and plain values"):
        read_torchscript(path)
    assert not (tmp_path / "called").exists()


def test_sizes_are_compared(archive: Path) -> None:
    with pytest.raises(ArchiveError, match=r"4 bytes for \d numbers of torch\.float"):
        read_torchscript(rewritten(archive, {f"data/{k}": b"1234" for k in range(9)}))
    with zipfile.ZipFile(archive) as file:
        data = file.read("a/data.pkl")
    assert b"K\x03K\x02\x86" in data or b"(K\x03K\x02t" in data
    larger = data.replace(b"(K\x03K\x02t", b"(K\xffK\x02t").replace(
        b"K\x03K\x02\x86", b"K\xffK\x02\x86"
    )
    with pytest.raises(ArchiveError, match=r"a tensor of shape \(255, 2\) of 6 numbers"):
        read_torchscript(rewritten(archive, {"data.pkl": larger}))
    with pytest.raises(ArchiveError, match="highest byte first"):
        read_torchscript(rewritten(archive, {"byteorder": b"big"}))


def test_modules_without_an_end_are_refused(archive: Path) -> None:
    # c__torch__ A, an object of it, whose attribute a is itself
    data = b"\x80\x02c__torch__\nA\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb."
    with pytest.raises(ArchiveError, match="more than 10000 modules"):
        read_torchscript(rewritten(archive, {"data.pkl": data}))


def test_damage_is_one_error(archive: Path) -> None:
    whole = archive.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(256)
        archive.write_bytes(data[: rng.integers(1, 2 * len(data))])
        if is_torchscript(archive):
            try:
                read_torchscript(archive)
            except ArchiveError:
                continue

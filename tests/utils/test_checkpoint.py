"""Tests of cliqa.utils.checkpoint."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import CheckpointError
from cliqa.utils.io import replace_by_link


class Intruder:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Tell pickle to call `Path.touch`."""
        return Path.touch, (self.path,)


def test_round_trip(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    state: dict[str, Any] = {
        "model": model.state_dict(),
        "progress": {"experience": 1, "epoch": None, "names": ["eva", "ava"], "best": 0.5},
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "pair": (1, True),
    }
    save_checkpoint(tmp_path / "checkpoints" / "exp_0.pth", state)
    found = load_checkpoint(str(tmp_path / "checkpoints" / "exp_0.pth"))
    assert found.keys() == state.keys()
    assert isinstance(found["model"], OrderedDict)
    assert all(torch.equal(found["model"][k], v) for k, v in model.state_dict().items())
    assert torch.equal(found["half"], state["half"])
    assert (found["progress"], found["pair"]) == (state["progress"], state["pair"])


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.pth"
    save_checkpoint(path, {"epoch": 1})
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(path, {"epoch": 2, "bad": lambda: None})
    assert load_checkpoint(path) == {"epoch": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["last.pth"]


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path, how: str) -> None:
    ran = tmp_path / "it_ran"
    path = tmp_path / "evil.pth"
    state = {"model": Intruder(ran)}
    if how == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    with pytest.raises(CheckpointError, match=r"evil\.pth: not a checkpoint of tensors .* only"):
        load_checkpoint(path)
    assert not ran.exists()


def test_a_whole_pickled_model_is_refused(tmp_path: Path) -> None:
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"Save its state_dict\(\) alone"):
        load_checkpoint(tmp_path / "model.pth")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.pth: no such checkpoint file"):
        load_checkpoint(tmp_path / "none.pth")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_a_truncated_file(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.pth"
    save_checkpoint(path, {"weights": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[: keep if keep >= 0 else -20])
    with pytest.raises(CheckpointError, match=r"cut\.pth: "):
        load_checkpoint(path)


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    path.write_bytes(content)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder of checkpoints: one of each kind, each a file of its own."""
    folder = tmp_path / "run" / "checkpoints"
    for name in ("exp_0", "exp_9", "exp_10", "exp_10_epoch_2", "exp_11_epoch_1", "last", "encoder"):
        save_checkpoint(folder / f"{name}.pth", {"weights": torch.ones(999)})
    return folder


def test_a_flipped_bit_is_an_error_that_names_the_newest_whole_checkpoint(run: Path) -> None:
    for name, whole in (
        ("last", "exp_11_epoch_1"),
        ("exp_11_epoch_1", "exp_10"),
        ("exp_10", "exp_10_epoch_2"),
        ("exp_10_epoch_2", "exp_9"),
        ("exp_9", "exp_0"),
    ):
        flip(run / f"{name}.pth")
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(run / f"{name}.pth")
        assert str(caught.value) == (
            f"{run / name}.pth: damaged: its content does not match its checksum. The newest "
            f"intact checkpoint of this run: {run / whole}.pth. Resume from it: --resume "
            f"{run / whole}.pth"
        )
    (run / "exp_0.pth").write_bytes(bytes(4000))  # zeros are no checkpoint
    with pytest.raises(CheckpointError, match=r"exp_9.*No other checkpoint of this run is intact"):
        load_checkpoint(run / "exp_9.pth")
    flip(run / "encoder.pth")
    with pytest.raises(CheckpointError, match=r"encoder\.pth: damaged: its content"):
        load_checkpoint(run / "encoder.pth")


def test_two_names_of_one_file_are_damaged_together(run: Path) -> None:
    replace_by_link(run / "exp_10.pth", run / "last.pth")
    content = bytearray((run / "last.pth").read_bytes())
    content[500] ^= 1
    with (run / "last.pth").open("r+b") as file:
        file.write(content)
    (run / "exp_11_epoch_1.pth").unlink()
    with pytest.raises(CheckpointError, match=r"run: \S+exp_10_epoch_2\.pth\."):
        load_checkpoint(run / "last.pth")


def test_a_truncated_or_emptied_checkpoint_names_a_whole_one_too(run: Path) -> None:
    content = (run / "last.pth").read_bytes()
    for damaged in (b"", bytes(len(content)), content[:1000], content[:-60], content[1:]):
        (run / "last.pth").write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"damaged.* run: \S+exp_11_epoch_1\.pth\."):
            load_checkpoint(run / "last.pth")


def test_a_damaged_file_elsewhere_is_to_be_copied_again(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "w.pth", {"weights": torch.ones(9)})
    save_checkpoint(tmp_path / "last.pth", {"weights": torch.ones(9)})
    flip(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth: damaged: .*Copy it again from its source"):
        load_checkpoint(tmp_path / "w.pth")


def test_files_that_pytorch_wrote_are_read_and_their_contents_compared(tmp_path: Path) -> None:
    path = tmp_path / "plain.pth"
    for new in (True, False):
        torch.save({"weights": torch.ones(999)}, path, _use_new_zipfile_serialization=new)
        assert torch.equal(load_checkpoint(path)["weights"], torch.ones(999))
    torch.save({"weights": torch.ones(999)}, path)
    flip(path)
    with pytest.raises(CheckpointError, match=r"plain\.pth: damaged: Bad CRC-32"):
        load_checkpoint(path)


def test_another_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_text("weights, they said")
    with pytest.raises(CheckpointError, match=r"x\.pth: "):
        load_checkpoint(tmp_path / "x.pth")


def test_a_tensor_alone_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save(torch.zeros(2), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds a Tensor, not a dict of tensors"):
        load_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(5), torch.eye(3).to_sparse(), torch.zeros(2, device="meta")],
)
def test_tensors_that_are_not_stored_one_by_one_are_refused(
    tensor: torch.Tensor, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "a.pth", {"rows": [{"tensor": tensor}]})
    with pytest.raises(CheckpointError, match=r"sparse, quantized or expanded tensor of shape \("):
        load_checkpoint(tmp_path / "a.pth")


def test_a_list_that_holds_itself_ends(tmp_path: Path) -> None:
    rows: list[object] = []
    rows.append(rows)
    save_checkpoint(tmp_path / "a.pth", {"rows": rows})
    assert list(load_checkpoint(tmp_path / "a.pth")) == ["rows"]


def test_a_packed_file_is_not_unpacked(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pth", {"a": torch.zeros(10_000)})
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as old,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(CheckpointError, match="it would unpack to"):
        load_checkpoint(tmp_path / "b.pth")


def test_safetensors_are_read_and_damage_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    state = {"layer.weight": torch.arange(6.0).view(2, 3)}
    path = tmp_path / "model.safetensors"
    safetensors.save_file(state, path)
    assert torch.equal(load_checkpoint(path)["layer.weight"], state["layer.weight"])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged or not in the format"):
        load_checkpoint(path)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged or not in the format"):
        load_checkpoint(path)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(CheckpointError, match="needs the package safetensors .*pip install safet"):
        load_checkpoint(path)

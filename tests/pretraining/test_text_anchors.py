from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cliqa.pretraining.text_anchors import (
    PROMPTS,
    build_anchors,
    clip_anchors,
    join_prompts,
    load_anchors,
    save_anchors,
)
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError


class StubClip(nn.Module):
    """A text tower that looks texts up in a table: as many rows as a text has letters."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def encode_text(self, tokens: Tensor) -> Tensor:
        return self.table[tokens]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Put a package ``clip`` in place that tokenizes a text to its length."""
    clip: Any = types.ModuleType("clip")
    clip.model = types.ModuleType("clip.model")
    clip.tokenize = lambda texts: torch.tensor([len(text) for text in texts])
    clip.model.build_model = lambda state: StubClip(state["table"].half())
    monkeypatch.setitem(sys.modules, "clip", clip)
    monkeypatch.setitem(sys.modules, "clip.model", clip.model)
    return clip


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    table = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)) + 1
    torch.save({"table": table}, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.mark.parametrize(("kind", "cosine"), [("antipodal", -1.0), ("orthogonal", 0.0)])
def test_fixed_anchors_have_their_cosine_and_length_one(kind: str, cosine: float) -> None:
    good, bad = build_anchors(kind, dim=16)
    assert good.shape == (16,)
    assert float(good @ bad) == cosine
    assert float(good @ good) == float(bad @ bad) == 1


def test_several_prompts_are_averaged_at_length_one_each() -> None:
    good = torch.tensor([[10.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    bad = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    plain = join_prompts(good, bad, centred=False)
    half = 2**-0.5
    assert plain.flatten().tolist() == pytest.approx([half, half, 0, 0, 0, 1])
    centred = join_prompts(good, bad)
    assert float(centred[0] @ centred[1]) == pytest.approx(-1)
    expected = torch.tensor([0.5, 0.5, -1.0])
    assert torch.allclose(centred[0], expected / expected.norm())


def test_anchors_from_clip_are_its_text_features(stub: types.ModuleType, weights: Path) -> None:
    table = torch.load(weights, weights_only=True)["table"].half().float()
    unit = table / table.norm(dim=1, keepdim=True)
    sides = [
        torch.stack([unit[len(text)] for text in texts]).mean(0)
        for texts in zip(*PROMPTS, strict=True)
    ]
    plain = build_anchors("clip", weights=weights, centred=False)
    assert torch.allclose(plain, torch.stack([side / side.norm() for side in sides]), atol=1e-6)
    lead = sides[0] - sides[1]
    assert torch.allclose(clip_anchors(weights)[0], lead / lead.norm(), atol=1e-5)
    one = clip_anchors(weights, [("1234", "12345")], centred=False)
    assert torch.allclose(one, unit[4:6], atol=1e-6)


def test_a_torchscript_archive_gives_the_same_anchors(
    stub: types.ModuleType, weights: Path, tmp_path: Path
) -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.load(weights, weights_only=True)["table"])

        def forward(self, x: Tensor) -> Tensor:
            return x + self.table

    archive = tmp_path / "RN50.pt"
    torch.jit.save(torch.jit.trace(Table(), torch.zeros(1)), str(archive))
    assert torch.equal(clip_anchors(archive), clip_anchors(weights))
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(archive.read_bytes().replace(b"Table", b"Tabel"))
    with pytest.raises(ModelError, match="a damaged TorchScript archive. Download it again"):
        clip_anchors(damaged)


def test_weights_of_another_model_and_no_weights_are_refused(
    stub: types.ModuleType, tmp_path: Path
) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(
        ModelError, match=r"other\.pt: not the weights of an OpenAI CLIP model \('table"
    ):
        clip_anchors(tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        clip_anchors(tmp_path / "missing.pt")


def test_a_tiny_clip_of_the_real_package_gives_opposite_anchors(tmp_path: Path) -> None:
    clip = pytest.importorskip("clip")
    torch.manual_seed(0)
    tiny = clip.model.CLIP(
        embed_dim=16, image_resolution=32, vision_layers=1, vision_width=64, vision_patch_size=16,
        context_length=77, vocab_size=49408, transformer_width=64, transformer_heads=1,
        transformer_layers=1,
    )  # fmt: skip
    torch.save(tiny.state_dict(), tmp_path / "tiny.pt")
    plain, centred = (clip_anchors(tmp_path / "tiny.pt", centred=c) for c in (False, True))
    assert plain.shape == (2, 16)
    assert -1 < float(plain[0] @ plain[1]) < 1
    assert float(centred[0] @ centred[1]) == pytest.approx(-1)


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    monkeypatch.setitem(sys.modules, "clip", None)
    with pytest.raises(ModelError, match=r"needs the package clip.*\"\.\[clip\]\".*antipodal"):
        clip_anchors(weights)


def test_anchors_survive_a_file(tmp_path: Path) -> None:
    anchors = build_anchors("orthogonal", dim=6)
    save_anchors(tmp_path / "anchors.npz", anchors)
    assert torch.equal(load_anchors(tmp_path / "anchors.npz"), anchors)
    centred = build_anchors("file", weights=tmp_path / "anchors.npz")
    assert float(centred[0] @ centred[1]) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"good": np.ones(3)},
            r"not an \.npz file with the vectors 'good' and 'bad'.*save_anchors",
        ),
        ({"good": np.ones(3), "bad": np.ones(4)}, r"not vectors of one length: \[\(1, 3\), \(1, 4"),
        ({"good": np.ones(3), "bad": np.array(["a"] * 3)}, "are not vectors of one length"),
        ({"good": np.ones(3), "bad": np.ones(3)}, "good and bad have the same direction"),
        ({"good": np.ones(3), "bad": np.zeros(3)}, "a vector is zero or not finite"),
        ({"good": np.ones(3), "bad": np.full(3, np.nan)}, "a vector is zero or not finite"),
    ],
)
def test_files_without_two_vectors_are_refused(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "anchors.npz", **arrays)
    with pytest.raises(ModelError, match=message):
        load_anchors(tmp_path / "anchors.npz")


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "anchors.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ModelError, match=r"not an \.npz file with the vectors"):
        load_anchors(tmp_path / "anchors.npz")
    with pytest.raises(ModelError, match="no such file of anchors"):
        load_anchors(tmp_path / "missing.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anchors": "antipodel"}, "unknown anchors 'antipodel'. Use 'antipodal', 'orthogonal'"),
        ({"dim": 0}, "dim must be a whole number of at least 1, got 0"),
        ({"anchors": "orthogonal", "dim": 1}, "dim must be a whole number of at least 2, got 1"),
        ({"anchors": "clip"}, r"anchors='clip' needs weights='\.\.\.', the path of a CLIP model"),
        ({"anchors": "file"}, r"needs weights='\.\.\.', the path of an \.npz of two vectors"),
        ({"anchors": "clip", "weights": "x", "prompts": []}, r"prompts must be pairs \(good, bad"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_anchors(**arguments)

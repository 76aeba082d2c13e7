"""Retrieval by a model that knows its colours: a backbone that passes mean colours on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from cliqa.inference.retrieval import Pairs, read_pairs, retrieval, retrieval_table, search
from cliqa.models.language.create import create_multimodal_model
from cliqa.utils.errors import DatasetError, ModelError

COLOURS = {"red": (220, 0, 0), "green": (0, 220, 0), "blue": (0, 0, 220)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return images of three colours, their captions beside them."""
    rows = ["image,text"]
    for name, colour in COLOURS.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for k in range(3):
            Image.new("RGB", (16, 16), colour).save(tmp_path / "images" / name / f"{k}.png")
            rows += [f"{name}/{k}.png,a {name} thing", f'{name}/{k}.png,"{name}, number {k}"']
    (tmp_path / "captions.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


class Reader:
    """A predictor that shows a model images as they are."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.checkpoint = Path("work_dirs/x")

    def outputs(self, paths: list[Path], network: Callable[[Tensor], Tensor]) -> Tensor:
        images = [torch.from_numpy(np.array(Image.open(path))) for path in paths]
        batch = torch.stack(images).permute(0, 3, 1, 2).float() / 255
        return network(batch)


def taught(kind: str, texts: tuple[str, ...], belong: np.ndarray, paths: list[Path]) -> Any:
    """Return a reader whose model was trained to match images and texts."""
    torch.manual_seed(0)
    model: Any = create_multimodal_model(kind, texts=list(COLOURS), in_channels=3, image_size=16)
    model.text_encoder.learn(texts)
    reader: Any = Reader(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    wanted = torch.from_numpy(belong).float()
    for _ in range(60):
        if kind == "fusion":
            words = model.text_encoder.words(texts)
            fits = reader.outputs(paths, lambda x, w=words: model.head(model.regions(x), *w))
        else:
            vectors = model.head.embed_text(model.text_encoder.encode(texts))
            fits = model.head.scale * reader.outputs(paths, model.embed_image) @ vectors.T
        loss = -(wanted * fits.log_softmax(1)).sum() / wanted.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return reader


def test_captions_are_read_once_each(folder: Path) -> None:
    model: Any = SimpleNamespace()
    pairs = read_pairs(f"{folder / 'captions.csv'}={folder / 'images'}", model)
    assert len(pairs.paths) == 9
    assert len(pairs.texts) == 12  # three colours, nine numbers
    assert pairs.belong.sum(axis=1).tolist() == [2] * 9
    assert sorted(pairs.belong.sum(axis=0).tolist()) == [1] * 9 + [3] * 3


@pytest.mark.parametrize("kind", ["clip", "fusion"])
def test_a_model_that_has_learnt_colours_finds_them(folder: Path, kind: str) -> None:
    names = tuple(f"a {name} thing" for name in COLOURS)
    paths = [folder / "images" / name / f"{k}.png" for name in COLOURS for k in range(3)]
    belong = np.repeat(np.eye(3, dtype=bool), 3, axis=0)
    reader = taught(kind, names, belong, paths)
    rows = retrieval(reader, Pairs(paths, names, belong), ks=[1, 2])
    assert [(row["direction"], row["k"]) for row in rows] == [
        ("image -> text", 1),
        ("image -> text", 2),
        ("text -> image", 1),
        ("text -> image", 2),
    ]
    assert all(row["recall"] == 1 for row in rows)
    assert rows[0]["chance"] == pytest.approx(1 / 3)
    assert rows[2]["chance"] == pytest.approx(3 / 9)
    assert (rows[0]["queries"], rows[2]["queries"]) == (9, 3)
    found = search(reader, "a blue thing", paths, top=3)
    assert {path.parent.name for path, _ in found} == {"blue"}
    table = retrieval_table(rows, reader.checkpoint)
    assert "recall@k" in table
    assert "text -> image" in table


def test_classes_of_a_folder_with_their_prompts(folder: Path) -> None:
    model: Any = create_multimodal_model("clip", texts=list(COLOURS), in_channels=3, image_size=16)
    pairs = read_pairs(str(folder / "images"), model)
    assert pairs.texts == ("a photo of a blue.", "a photo of a green.", "a photo of a red.")
    assert pairs.belong.sum(axis=0).tolist() == [3, 3, 3]


def test_a_missing_image_and_a_model_without_texts(folder: Path) -> None:
    model: Any = SimpleNamespace()
    with pytest.raises(DatasetError, match="captions.csv: no image .*Give the images' folder"):
        read_pairs(f"{folder / 'captions.csv'}={folder}", model)
    plain: Any = SimpleNamespace(model=torch.nn.Linear(1, 1), checkpoint="work_dirs/x")
    with pytest.raises(ModelError, match="a Linear compares images with no texts"):
        search(plain, "a bag", [folder / "images" / "red" / "0.png"])

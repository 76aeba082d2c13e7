from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.datasets.labels.scale import Scale
from cliqa.inference.predict import Predictor
from cliqa.inference.unseen_data import embed_paths, image_text_model, read_unseen
from cliqa.models.build import build_model
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.language.text_files import load_texts
from cliqa.transforms.protocol import EvaluationProtocol
from cliqa.utils.errors import ConfigError, DatasetError, ModelError


def model(texts: str = "quality_levels") -> ImageTextModel:
    torch.manual_seed(0)
    found = build_model(
        {
            "type": "ImageTextModel",
            "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [4, 8]},
            "texts": texts,
            "in_channels": 8,
        }
    )
    assert isinstance(found, ImageTextModel)
    return found.eval()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Return a folder with 3 images of dogs, one of them deeper, and 2 of sea lions."""
    for name, shade in (("dog/1", 0), ("dog/a/2", 9), ("dog/3", 50), ("sea_lion/4", 200)):
        path = tmp_path / "pets" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (shade, 0, 0)).save(path)
    Image.new("RGB", (16, 12), (1, 2, 3)).save(tmp_path / "pets" / "sea_lion" / "5.png")
    return tmp_path / "pets"


def test_a_folder_of_classes_is_read_by_name(pets: Path) -> None:
    unseen = read_unseen(str(pets), model())
    assert unseen.texts.names == ("dog", "sea_lion")
    assert unseen.texts.flat == ("a photo of a dog.", "a photo of a sea lion.")
    assert unseen.targets.tolist() == [0, 0, 0, 1, 1]
    assert sorted(path.stem for path in unseen.paths[:3]) == ["1", "2", "3"]
    assert unseen.shares.tolist() == [[1, 0]] * 3 + [[0, 1]] * 2


def test_texts_of_ones_own_set_the_order(pets: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("classes: {sea_lion: seal, dog: [dog, hound]}")
    unseen = read_unseen(str(pets), model(), str(file))
    assert unseen.texts.names == ("sea_lion", "dog")
    assert unseen.targets.tolist() == [0, 0, 1, 1, 1]
    assert unseen.paths[0].parent.name == "sea_lion"


def test_scores_are_shared_among_levels(tiny_data: Path) -> None:
    data = f"{tiny_data / 'a' / 'scores.csv'}={tiny_data / 'a'}"
    unseen = read_unseen(data, model(), scale=Scale(0, 1))
    assert unseen.texts == load_texts("quality_levels")
    worth = torch.tensor(unseen.texts.values)
    assert torch.allclose(unseen.shares @ worth, unseen.targets, atol=1e-6)
    other = read_unseen(data, model("cifar10"), scale=Scale(0, 1))
    assert other.texts == load_texts("quality_levels")
    antonyms = read_unseen(data, model(), "quality_antonyms", Scale(0, 1))
    assert antonyms.texts.names == ("good", "bad")


def test_vectors_are_those_of_single_images_of_any_size(
    pets: Path, tiny_config: dict[str, Any], run_config: Callable[..., Path]
) -> None:
    tiny_config["model"] = {
        "type": "ImageTextModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [4, 8]},
        "texts": "quality_levels",
        "in_channels": 8,
    }
    tiny_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(tiny_config)
    predictor = Predictor(folder, torch.device("cpu"))
    net = image_text_model(predictor)
    paths = sorted(pets.rglob("*.png"))
    vectors = embed_paths(predictor, net, paths)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(5))
    for path, vector in zip(paths, vectors, strict=True):
        alone = embed_paths(predictor, net, [path])
        assert torch.allclose(alone[0], vector, atol=1e-6)
    halves = Image.new("RGB", (24, 12), (255, 0, 0))
    halves.paste((0, 0, 255), (12, 0, 24, 12))  # two crops that differ
    halves.save(paths[0])
    crops = EvaluationProtocol(grid=(1, 2), crop_size=12, resize=())
    many = embed_paths(Predictor(folder, torch.device("cpu"), crops), net, paths)
    assert torch.allclose(many.norm(dim=1), torch.ones(5))
    (pets / "dog" / "1.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"dog/1\.png"):
        embed_paths(predictor, net, [pets / "dog" / "1.png"])


def test_data_and_texts_that_do_not_fit_are_refused(
    pets: Path, tmp_path: Path, tiny_data: Path
) -> None:
    with pytest.raises(DatasetError, match=r"none: no such folder. Give one with a folder"):
        read_unseen(str(tmp_path / "none"), model())
    with pytest.raises(DatasetError, match="dog: has 1 folders, and needs one of images for"):
        read_unseen(str(pets / "dog"), model())
    with pytest.raises(ConfigError, match=r"not the classes of .*\n  texts:   airplane.*\n  fold"):
        read_unseen(str(pets), model(), "cifar10")
    with pytest.raises(ConfigError, match="--texts quality_levels: names 'levels', but .* classes"):
        read_unseen(str(pets), model(), "quality_levels")
    with pytest.raises(ConfigError, match="--texts cifar10: names classes, but .* has scores"):
        read_unseen(f"x.csv={tiny_data}", model(), "cifar10", Scale(0, 1))
    labels = tmp_path / "all_train.csv"
    rows = [f"a{k:02d}.png,0.{k % 9 + 1},train" for k in range(40)]
    labels.write_text("\n".join(["image,score,split", *rows]))
    with pytest.raises(DatasetError, match="has no test images"):
        read_unseen(f"{labels}={tiny_data / 'a'}", model(), scale=Scale(0, 1))


def test_a_model_without_texts_is_refused(tiny_run: Path) -> None:
    with pytest.raises(ModelError, match="a QualityModel compares images with no texts"):
        image_text_model(Predictor(tiny_run, torch.device("cpu")))


def test_a_folder_is_called_as_its_class_without_a_slash(pets: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("classes: {dog/puppy: hound, sea_lion: lion}")
    (pets / "dog").rename(pets / "dog_puppy")
    found = read_unseen(str(pets), model(), str(path))
    assert found.texts.names == ("dog_puppy", "sea_lion")
    assert found.texts.flat == ("hound", "lion")
    inside = [(pets / "dog_puppy") in path.parents for path in found.paths]
    assert inside == (found.targets == 0).tolist()

"""An exported model as prediction needs it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cliqa.compress.export import export_checkpoint
from cliqa.deploy.onnx.file import read_metadata, write_metadata
from cliqa.inference.exported_image_model import ExportedImageModel
from cliqa.inference.image_model import open_model
from cliqa.inference.predict import Predictor, find_images
from cliqa.utils.errors import ArtifactError, ModelError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

CPU = torch.device("cpu")


@pytest.fixture
def file(tiny_run: Path, tmp_path: Path) -> Path:
    export_checkpoint(tiny_run, tmp_path / "m.onnx", size=(16, 16))
    return tmp_path / "m.onnx"


def test_it_is_the_checkpoints_model(file: Path, tiny_run: Path, tiny_data: Path) -> None:
    model, plain = open_model(file, CPU), open_model(tiny_run, CPU)
    assert isinstance(model, ExportedImageModel)
    assert (model.path, model.names, model.classes, model.channels) == (
        *(file, plain.names, plain.classes, plain.channels),
    )
    assert model.eval_transform == plain.eval_transform
    images = torch.rand(5, 3, 16, 16)
    torch.testing.assert_close(model(images), plain(images), rtol=0, atol=1e-6)
    paths = find_images([tiny_data / "a"])
    found, wanted = (
        [score.score for score in Predictor(source, CPU).predict(paths)]
        for source in (file, tiny_run)
    )
    assert found == pytest.approx(wanted, abs=1e-6)
    with pytest.raises(ModelError, match=r"m\.onnx: holds no PyTorch network to look into"):
        _ = Predictor(file, CPU).model


def test_a_file_that_says_too_little_is_refused(file: Path) -> None:
    about = read_metadata(file)
    write_metadata(file, {key: about[key] for key in about if key not in ("names", "scenario")})
    with pytest.raises(ArtifactError, match=r"does not say its names, scenario, which prediction"):
        ExportedImageModel(file)

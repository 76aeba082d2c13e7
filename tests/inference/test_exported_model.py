"""An exported model as prediction needs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.compress.export import export_checkpoint
from cliqa.datasets.image_listing import find_images
from cliqa.deploy.file_checksum import seal_onnx
from cliqa.deploy.onnx.file import describe, load_proto, read_metadata
from cliqa.inference.evaluate import evaluate, evaluate_checkpoints
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.exported_model import ExportedModel, check_same_names
from cliqa.inference.image_model import open_model
from cliqa.inference.predict import Predictor
from cliqa.utils.errors import ArtifactError, CheckpointError, ConfigError, ModelError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("quick_exports")

CPU = torch.device("cpu")


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Replace the description of an ONNX file."""
    proto = load_proto(path)
    describe(proto, metadata)
    path.write_bytes(seal_onnx(proto))


@pytest.fixture
def file(tiny_run: Path, tmp_path: Path) -> Path:
    export_checkpoint(tiny_run, tmp_path / "m.onnx", size=(16, 16))
    return tmp_path / "m.onnx"


def test_it_is_the_checkpoints_model(file: Path, tiny_run: Path, tiny_data: Path) -> None:
    model, plain = open_model(file, CPU), open_model(tiny_run, CPU)
    assert isinstance(model, ExportedModel)
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
    with pytest.raises(ArtifactError, match=r"does not state its names, scenario, which"):
        ExportedModel(file)


def test_it_names_no_folder_but_finds_them_in_its_run(
    file: Path, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    text = str(load_proto(file).metadata_props)
    assert str(tiny_data) not in text
    assert str(tmp_path) not in text
    about = read_metadata(file)
    assert about["scenario"]["dataset_root"].startswith("(not in the file)/")
    told = r"m\.onnx: does not name the folders of its run's data, .* Add --dataset-root FOLDER"
    with pytest.raises(ConfigError, match=told):
        evaluate_checkpoints([file], EvalRequest(), CPU, tmp_path / "e.json")
    shutil.copytree(tiny_run / "checkpoints", tmp_path / "checkpoints")
    found, _ = evaluate_checkpoints([file], EvalRequest(), CPU, tmp_path / "e.json")
    (entry,) = found.values()
    assert list(entry["datasets"]) == ["a", "b", "c"]


Config = dict[str, Any]


def test_classes_are_measured_alike_and_others_refused(
    clear_config: Config, run_config: Callable[..., Path], tmp_path: Path
) -> None:
    clear_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(clear_config)
    file = export_checkpoint(folder, size=(16, 16)).path
    options: Config = {"config_file": "config/x.py", "device": "cpu", "out": tmp_path / "out.json"}
    wanted = evaluate(clear_config, checkpoint=folder, **options)
    found = evaluate(clear_config, exported=file, **options)
    assert found["protocol"]["targets"] == "classes"
    for name, data in wanted["datasets"].items():
        assert found["datasets"][name]["metrics"]["accuracy"] == data["metrics"]["accuracy"]
        rows = zip(found["datasets"][name]["predictions"], data["predictions"], strict=True)
        for one, other in rows:
            assert one["prediction"] == other["prediction"]
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
    about = read_metadata(file)
    write_metadata(file, {**about, "classes": [*about["classes"][:2], "zebra"]})
    message = rf"other classes: the config lacks zebra; .*not know {about['classes'][2]}\. Use"
    with pytest.raises(CheckpointError, match=message):
        evaluate(clear_config, exported=file, **options)
    clear_config["model"]["backbone"]["channels"] = [8, 16]
    with pytest.raises(CheckpointError, match=r"these keys differ: model\.backbone\.channels"):
        evaluate(clear_config, exported=file, **options)


def test_names_that_differ_are_said() -> None:
    path = Path("m.onnx")
    check_same_names(path, "classes", ["a", "b"], ["a", "b"])
    with pytest.raises(CheckpointError, match="with other classes: the order differs. Use the"):
        check_same_names(path, "classes", ["a", "b"], ["b", "a"])
    with pytest.raises(CheckpointError, match="other classes: the file does not know c. Use"):
        check_same_names(path, "classes", ["a"], ["a", "c"])

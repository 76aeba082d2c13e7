"""A run's model in fewer bits, as a user gets it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.compress.export import export_checkpoint
from cliqa.compress.quantize import quantize_model
from cliqa.deploy.onnx.file import OnnxModel, read_metadata
from cliqa.inference.evaluate import evaluate
from cliqa.inference.image_model import open_model
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import ArtifactError, ConfigError, DatasetError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("quick_exports")


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory, quick_exports: None) -> Path:
    """Return an ONNX file of a tiny run: only read it."""
    folder = tmp_path_factory.mktemp("exported")
    return export_checkpoint(tiny_run, folder / "m.onnx", size=(16, 16)).path


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_file_becomes_smaller_and_says_what_it_is(
    precision: str, exported: Path, tiny_data: Path, tmp_path: Path
) -> None:
    target = tmp_path / "small.onnx"
    with pytest.raises(ConfigError, match=r"does not name the folders .* Add --dataset-root FOLD"):
        quantize_model(exported, target, precision=precision, count=36)
    lines = quantize_model(  # a file outside its run's folder
        exported, target, precision=precision, count=36, dataset_root=tiny_data
    )
    before, after = exported.stat().st_size, target.stat().st_size
    assert after < before
    assert lines[-1] == f"written: {target} ({after:,} bytes, {before / after:.2f} times smaller)"
    whole, small = read_metadata(exported), read_metadata(target)
    assert small.pop("precision") in (precision, "a16w8")
    assert whole.pop("precision") == "fp32"
    assert small == whole
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    exact, found = OnnxModel(exported)(images), OnnxModel(target)(images)
    assert not torch.equal(exact, found)
    assert float((exact - found).abs().max()) < 0.1


def test_a_work_dir_is_exported_first(tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    quantize_model(folder, precision="fp16", count=4)
    assert (folder / "model.onnx").is_file()
    assert read_metadata(folder / "model_fp16.onnx")["precision"] == "fp16"


def test_an_export_of_other_weights_is_made_anew_and_one_of_these_stays(
    tiny_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    own = export_checkpoint(folder, size=(20, 20)).path  # as its user wants it
    for precision in ("fp16", "int8"):
        with pytest.raises(DatasetError, match=r"the model takes \('any', 3, 20, 20\)"):
            quantize_model(folder, precision=precision, count=36)
    assert read_metadata(own)["size"] == [20, 20]
    last = folder / "checkpoints" / "last.pth"
    state = load_checkpoint(last)
    for tensor in state["strategy"]["model"].values():
        tensor.mul_(2)
    save_checkpoint(last, state)
    before = own.read_bytes()
    quantize_model(folder, precision="fp16", count=4)
    assert own.read_bytes() != before


def test_a_folder_of_images_calibrates(exported: Path, tmp_path: Path) -> None:
    for k in range(40):
        noise = torch.randint(0, 256, (16, 16, 3), generator=torch.Generator().manual_seed(k))
        Image.fromarray(noise.to(torch.uint8).numpy()).save(tmp_path / f"{k}.png")
    lines = quantize_model(exported, tmp_path / "s.onnx", images=tmp_path, count=36)
    assert lines[-1].startswith("written")


def test_the_data_may_have_moved(exported: Path, tiny_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere"):
        quantize_model(exported, tmp_path / "s.onnx", dataset_root=tmp_path / "nowhere")
    moved = tmp_path / "moved"
    shutil.copytree(tiny_data, moved)
    quantize_model(exported, tmp_path / "s.onnx", precision="fp16", dataset_root=moved, count=4)


def test_a_loose_checkpoint_names_its_data(tiny_run: Path, tmp_path: Path) -> None:
    loose = shutil.copy(tiny_run / "checkpoints" / "last.pth", tmp_path / "loose.pth")
    assert quantize_model(loose, precision="fp16", count=4)[-1].startswith("written: ")


@pytest.mark.slow
def test_openvino_files_predict_and_are_evaluated(
    exported: Path, tiny_data: Path, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("nncf")
    assert quantize_model(exported, precision="bf16", backend="openvino")[0].endswith("bfloat16")
    target = tmp_path / "s.xml"
    lines = quantize_model(exported, target, backend="openvino", count=36, dataset_root=tiny_data)
    assert lines[-1].endswith(" times larger)")  # of so small a network
    assert open_model(target, torch.device("cpu"))(torch.rand(2, 3, 16, 16)).shape == (2,)
    found = evaluate(
        tiny_config, config_file="x.py", exported=target, out=tmp_path / "e.json", device="cpu"
    )
    assert found["protocol"]["exported"] == {"backend": "openvino", "precision": "int8"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16", "backend": "openvino"}, "openvino fp16: cannot be written. There"),
        ({"precision": "bf16"}, "onnxruntime bf16: cannot be written"),
        ({"in_float": ["neck"]}, "--in-float neck: must be among stem, depthwise, squeeze-excite"),
        ({"precision": "fp16", "in_float": ["stem"]}, "of onnxruntime int8, got onnxruntime fp16"),
        ({"out": "x.xml"}, r"--out x\.xml: files of onnxruntime end in \.onnx"),
        ({"out": "x.onnx", "backend": "openvino"}, r"files of openvino end in \.xml"),
        ({"count": 0}, "number of images must be at least 1"),
        ({"count": 31}, "--count 31: too few images to compare on, .* Give 32 or more"),
    ],
)
def test_mistakes_are_told_before_anything_is_read(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quantize_model("nowhere.onnx", **options)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no")
    with pytest.raises(ArtifactError, match=r"x\.onnx"):
        quantize_model(tmp_path / "x.onnx")

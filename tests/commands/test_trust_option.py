"""``--trust`` as a user meets it: a run with components of its own, in every tool."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import test_config
import train_config
from cliqa.config import trust
from cliqa.config.load import dump_config
from cliqa.registry import MODELS
from cliqa.utils.cli import run_entry_point
from tools import compress, evaluate, predict, profile_model, visualize, zero_shot

pytestmark = pytest.mark.integration

MODULE = "heads_of_a_user"
SOURCE = """
from pathlib import Path
from torch import nn
from cliqa.registry import MODELS

@MODELS.register_module()
class HeadOfAUser(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_channels, 1)

    def forward(self, features):
        return self.layer(features[-1])[:, 0]
"""
REFUSED = (
    r": its run uses custom components (custom_imports): using it would import "
    f"{MODULE}. If you trust the file: --trust\n"
)

Call = Callable[..., tuple[int, str, str]]


def forget() -> None:
    """Let this process be as one that has never seen the user's module or config."""
    sys.modules.pop(MODULE, None)
    MODELS.module_dict.pop("HeadOfAUser", None)
    trust._vouched.clear()


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs an entry point here: exit status, stdout and stderr."""

    def run(entry: Any, *arguments: object) -> tuple[int, str, str]:
        with warnings.catch_warnings():  # the entry point sets filters
            status = run_entry_point(lambda: entry.main([str(one) for one in arguments]))
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def own_module(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Put the user's module on the path."""
    folder = tmp_path_factory.mktemp("user")
    (folder / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(folder))
    forget()
    yield
    forget()


@pytest.fixture
def config(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    """Return the config of a run with a head of the user's."""
    tiny_config["model"]["head"] = {"type": "HeadOfAUser", "in_channels": 32}
    tiny_config["custom_imports"] = {"imports": [MODULE], "allow_failed_imports": False}
    tiny_config["cl_strategy"] |= {"type": "Naive", "train_epochs": 1}
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    dump_config(tiny_config, tmp_path / "own.py")
    return tmp_path / "own.py"


@pytest.fixture
def run(config: Path, tmp_path: Path, own_module: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the work_dir of a run of that config; this process has forgotten it."""
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    train_config.main([str(config), "--work-dir", str(tmp_path / "run"), "--device", "cpu"])
    forget()
    return tmp_path / "run"


def uses(run: Path, image: Path, out: Path) -> dict[str, tuple[Any, ...]]:
    """Return what each tool is asked for."""
    return {
        "predict": (predict, run, image, "--device", "cpu"),
        "evaluate": (evaluate, run, "--device", "cpu", "--out", out / "e.json"),
        "export": (compress, "export", run, "--out", out / "m.onnx", "--size", "16"),
        "prune": (
            compress,
            "prune",
            run,
            "--ratio",
            "0.5",
            "--round-to",
            "1",
            "--epochs",
            "0",
            "--out",
            out / "p",
        ),
        "visualize": (visualize, run, "--mode", "ranking", "--images", image, "--out", out),
        "profile": (profile_model, run, "--repeats", "1", "--warmup", "0", "--sizes", "16"),
    }


@pytest.mark.usefixtures("quick_exports")
def test_a_runs_own_components_work_where_it_is_trusted(
    run: Path, config: Path, tiny_data: Path, tmp_path: Path, call: Call
) -> None:
    image = tiny_data / "a" / "a00.png"
    for name, (tool, *arguments) in uses(run, image, tmp_path).items():
        status, _, said = call(tool, *arguments)
        assert (status, said.endswith(REFUSED)) == (2, True), (name, said)
        assert said.count("\n") == 1
        assert MODULE not in sys.modules
        status, _, said = call(tool, *arguments, "--trust")
        assert status == 0, (name, said)
        assert MODULE in sys.modules
        forget()
    # an exported file needs the module for its data alone: images are scored without it
    about = (predict, tmp_path / "m.onnx", image)
    assert call(*about)[0] == 0
    assert MODULE not in sys.modules
    assert call(*about, "--trust")[0] == 0
    assert MODULE in sys.modules
    forget()
    data = tiny_data / "a"
    few = (zero_shot, run, "--data", f"{data / 'scores.csv'}={data}", "--score-range", "0", "1")
    assert call(*few)[2].endswith(REFUSED)
    assert "compares images with no texts" in call(*few, "--trust")[2]
    forget()
    # the user's own config names the module: no trust is needed
    assert call(test_config, config, run, "--device", "cpu")[0] == 0


def test_a_teacher_with_components_of_its_own_is_trusted_or_refused(
    run: Path, tiny_config: dict[str, Any], tmp_path: Path, call: Call
) -> None:
    tiny_config["model"]["head"] = {"type": "LinearScoreHead", "in_channels": 32}
    del tiny_config["custom_imports"]
    tiny_config["cl_strategy"]["plugins"] = [{"type": "Distillation", "teacher": str(run)}]
    dump_config(tiny_config, tmp_path / "student.py")
    train = (train_config, tmp_path / "student.py", "--device", "cpu", "--work-dir")
    status, _, said = call(*train, tmp_path / "a")
    assert (status, REFUSED in said) == (2, True)
    assert call(*train, tmp_path / "b", "--trust")[0] == 0


def test_a_module_that_is_not_on_the_path_is_told(
    run: Path, tiny_data: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "path", [p for p in sys.path if not (Path(p) / f"{MODULE}.py").exists()]
    )
    status, _, said = call(predict, run, tiny_data / "a", "--trust")
    assert status == 2
    assert f"last.pth: custom_imports: importing '{MODULE}' failed (ModuleNotFoundError" in said
    assert said.endswith("Its folder must be on PYTHONPATH.\n")


@pytest.mark.parametrize("ending", ["onnx", "xml"])
def test_a_hostile_description_is_refused(
    ending: str, tmp_path: Path, tiny_data: Path, call: Call
) -> None:
    (tmp_path / "PWNED").unlink(missing_ok=True)
    steps = [{"type": "subprocess.Popen", "args": ["touch", str(tmp_path / "PWNED")]}]
    about = {"format": 1, "names": ["x"], "classes": [], "channels": 3, "eval_transform": steps}
    about["scenario"] = {"type": "QualityStream"}
    path = tmp_path / f"evil.{ending}"
    if ending == "onnx":
        path.write_bytes(tiny_onnx({"cliqa": json.dumps(about)}))
    else:
        path.write_text("<net/>")
        path.with_suffix(".json").write_text(json.dumps(about))
        path.with_suffix(".bin").touch()
    status, _, said = call(predict, path, tiny_data / "a" / "a00.png")
    assert status == 2
    assert "eval_transform[0].type 'subprocess.Popen' of" in said
    assert "using it would import subprocess. If you trust the file: --trust" in said
    assert not (tmp_path / "PWNED").exists()


def tiny_onnx(properties: dict[str, str]) -> bytes:
    """Return an ONNX file that gives the mean of an image."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    inputs = make.make_tensor_value_info("images", kind, ["N", 3, "H", "W"])
    outputs = make.make_tensor_value_info("output", kind, None)
    node = make.make_node("ReduceMean", ["images"], ["output"], keepdims=0, axes=[1, 2, 3])
    graph = make.make_graph([node], "g", [inputs], [outputs])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    make.set_model_props(model, properties)
    found: bytes = model.SerializeToString()
    return found

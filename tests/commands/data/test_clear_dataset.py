"""The tool's commands and its functions, as a user calls them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

import cliqa.datasets.clear.create
import cliqa.engine
import cliqa.inference.features
from cliqa.datasets.clear.read import read_clear
from cliqa.demo_data.clear import ClearData
from cliqa.utils.cli import run_entry_point
from tools import clear_dataset
from tools.clear_dataset import (
    create_dataset,
    from_folder,
    get_fewshot_indices,
    main,
    prepare,
)

ROOT = Path(__file__).resolve().parents[3]


def run(*words: str | Path) -> int:
    """Run the tool with a command line."""
    return run_entry_point(lambda: main([str(word) for word in words]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "clear"
    ClearData(classes=2, buckets=2, images=6, size=16).write(path)
    return path


def test_fewshot(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fewshot", root, "--shot", "2", "--seed", "1") == 0
    shown = capsys.readouterr().out
    assert "scenario.evaluation_protocol=iid scenario.seed=1 scenario.shot=2" in shown
    splits = read_clear(root, evaluation_protocol="iid", seed=1, shot=2)
    assert [len(data) for data in splits.train] == [4, 4]


def test_fewshot_reports_small_classes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fewshot", root, "--shot", "9") == 0
    assert "plain_square (4); all were taken" in capsys.readouterr().err


def test_prepare(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prepare", root) == 0
    path = root / "training_folder/filelists/1/all.txt"
    right = path.read_text()
    path.write_text("")
    assert run("prepare", root) == 2
    assert "add --overwrite to replace them" in capsys.readouterr().err
    assert run("prepare", root, "--overwrite") == 0
    assert path.read_text() == right


def test_create(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run("create", root, out, "--sort-by", "id", "--buckets", "3", "--link") == 0
    assert read_clear(out).buckets == ("1", "2", "3")
    assert next(out.rglob("10000000.jpg")).samefile(next(root.rglob("10000000.jpg")))
    assert run("create", root, out) == 2
    assert "already exists and is not empty. Choose a new folder" in capsys.readouterr().err
    assert run("create", root, tmp_path / "other", "--sort-by", "titel") == 2
    assert "no 'titel' in its metadata. It has ID" in capsys.readouterr().err


def test_from_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(4):
        path = tmp_path / f"photos/bus/{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (50 * k, 0, 0)).save(path)
    command: list[str | Path] = [
        "from-folder",
        tmp_path / "photos",
        tmp_path / "out",
        "--buckets",
        "2",
    ]
    assert run(*command) == 2
    assert "--order name" in capsys.readouterr().err
    assert run(*command, "--order", "name", "--link") == 0
    assert [len(data) for data in read_clear(tmp_path / "out").train] == [2, 2]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Record the calls of the function behind the command ``features``."""
    found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    module = ModuleType("cliqa.inference.features")
    vars(module)["get_pretrained_features"] = lambda *args, **kwargs: found.append((args, kwargs))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cliqa.inference, "features", module, raising=False)
    return found


def test_features(calls: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> None:
    defaults = {"device": "auto", "batch_size": 64, "num_workers": 0, "overwrite": False}
    assert run("features", "data", "--name", "mine") == 0
    assert calls.pop() == (("data", "mine", None, "resnet50"), defaults)
    arch = "dict(type='ResNet', depth=18)"
    words = ["--checkpoint", "a.pth", "--arch", arch, "--device", "cpu", "--batch-size", "8"]
    words += ["--num-workers", "2", "--overwrite"]
    assert run("features", "data", "--name", "mine", *words) == 0
    options = {"device": "cpu", "batch_size": 8, "num_workers": 2, "overwrite": True}
    expected = ("data", "mine", "a.pth", {"type": "ResNet", "depth": 18})
    assert calls.pop() == (expected, options)


def test_a_broken_arch_is_one_line(
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("features", "data", "--name", "mine", "--arch", "dict(type=") == 2
    assert "--arch: cannot read dict(type=" in capsys.readouterr().err
    assert calls == []


def test_the_functions_can_be_imported(root: Path, tmp_path: Path) -> None:
    assert get_fewshot_indices(root, shot=1, seed=0) == []
    prepare(root)
    create_dataset(root, tmp_path / "new", lambda records: records[::-1])
    assert read_clear(tmp_path / "new").buckets == ("1", "2")
    from_folder(root / "labeled_images", tmp_path / "again")
    assert read_clear(tmp_path / "again").buckets == ("1", "2")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (cliqa.datasets.clear.create, "create_dataset"),
        (cliqa.datasets.clear.fewshot, "get_fewshot_indices"),
        (cliqa.datasets.clear.from_folder, "from_folder"),
        (cliqa.datasets.clear.prepare, "prepare"),
        (cliqa.inference.features, "get_pretrained_features"),
    ],
)
def test_the_functions_are_those_of_the_package(module: ModuleType, name: str) -> None:
    assert getattr(clear_dataset, name) is getattr(module, name)


def test_other_names_are_no_functions_of_the_tool() -> None:
    with pytest.raises(AttributeError, match="It has create_dataset, from_folder"):
        clear_dataset.__getattr__("creat_dataset")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare", "no/such/folder"], "no/such/folder: no such folder"),
        (["fewshot", "no/such/folder"], "no/such/folder: no such folder"),
        (["fewshot", ".", "--shot", "0"], "shot must be a whole number >= 1, got 0"),
        (["create", "no/such/folder", "out"], "no/such/folder: no such folder"),
        (["from-folder", "no/such/folder", "out"], "no/such/folder: no such folder"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_help_answers_without_torch() -> None:
    code = (
        "import sys, tools.clear_dataset as tool\n"
        "try: tool.main(['create', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--sort-by" in done.stdout

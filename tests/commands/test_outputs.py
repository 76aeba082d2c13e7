"""Every tool asks first whether it can write what it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / "config" / "demo.py")

FILES: dict[str, tuple[str, list[str], str, str]] = {
    "predict": ("cliqa.commands.models.predict", ["no_model", "no_image"], "--out", ".csv"),
    "evaluate": ("cliqa.commands.runs.evaluate", ["no_model"], "--out", ".json"),
    "evaluate --table": ("cliqa.commands.runs.evaluate", ["no_model"], "--table", ".md"),
    "profile": ("cliqa.commands.models.profile_model", ["no_model"], "--out", ".md"),
    "zero_shot": (
        "cliqa.commands.models.zero_shot",
        ["no_model", "--data", "no_data"],
        "--out",
        ".json",
    ),
    "export": ("cliqa.commands.models.compress", ["export", "no_model"], "--out", ".onnx"),
    "quantize": ("cliqa.commands.models.compress", ["quantize", "no_model"], "--out", ".onnx"),
    "test_config": ("test_config", [CONFIG, "no_model"], "--out", ".json"),
}
"""Tools that write a file: module, arguments whose inputs are missing, option, suffix."""

FOLDERS: dict[str, tuple[str, list[str], str]] = {
    "evaluate": ("cliqa.commands.runs.evaluate", ["no_model"], "--out"),
    "visualize": ("cliqa.commands.runs.visualize", ["no_run"], "--out"),
    "prune": (
        "cliqa.commands.models.compress",
        ["prune", "no_run", "--ratio", "0.5", "--epochs", "1"],
        "--out",
    ),
    "auto": ("cliqa.commands.models.compress", ["auto", "no_run"], "--out"),
    "run_seeds": ("cliqa.commands.studies.run_seeds", ["no_config.py"], "--out"),
    "tune": (
        "cliqa.commands.studies.tune",
        ["no_config.py", "--search", "a.b=uniform(1, 2)"],
        "--out",
    ),
    "compare_pretraining": (
        "cliqa.commands.studies.compare_pretraining",
        ["no.py", "none.py"],
        "--out",
    ),
    "make_demo_data": ("cliqa.commands.data.make_demo_data", [], "--out"),
    "make_fashion_data": ("cliqa.commands.data.make_fashion_data", [], "--out"),
    "clear create": ("cliqa.commands.data.clear_dataset", ["create", "no_data"], ""),
    "clear from-folder": ("cliqa.commands.data.clear_dataset", ["from-folder", "no_data"], ""),
    "train_config": ("train_config", ["no_config.py"], "--work-dir"),
}
"""Tools that write a folder: module, arguments whose inputs are missing, option."""


def given(option: str, path: str) -> list[str]:
    return [option, path] if option else [path]


@pytest.fixture
def refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[str, Sequence[str]], str]:
    """Return a function that runs a tool where things lie in the way, and returns its one line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    for suffix in (".csv", ".json", ".md", ".onnx"):
        (tmp_path / f"folder{suffix}").mkdir()

    def run(module: str, arguments: Sequence[str]) -> str:
        main = import_module(module).main
        before = sorted(tmp_path.rglob("*"))
        assert run_entry_point(lambda: main(arguments)) == 2
        assert sorted(tmp_path.rglob("*")) == before
        out, told = capfd.readouterr()
        assert out == ""
        assert told.count("\n") == 1
        return told.removeprefix("error: ")

    return run


@pytest.mark.parametrize("tool", FILES)
def test_a_folder_where_a_file_is_wanted(
    refuse: Callable[[str, Sequence[str]], str], tool: str
) -> None:
    module, arguments, option, suffix = FILES[tool]
    told = refuse(module, [*arguments, option, f"folder{suffix}"])
    assert told.startswith(f"{option} folder{suffix}: it is a folder.")


@pytest.mark.parametrize("tool", FILES)
@pytest.mark.parametrize("place", ["file/x", "file/new/x"])
def test_a_file_below_a_file(
    refuse: Callable[[str, Sequence[str]], str], tool: str, place: str
) -> None:
    module, arguments, option, suffix = FILES[tool]
    told = refuse(module, [*arguments, option, f"{place}{suffix}"])
    assert told.startswith(f"{option} {place}{suffix}: file is a file, not a folder")


@pytest.mark.parametrize("tool", FILES)
def test_a_file_in_a_folder_that_takes_none(
    refuse: Callable[[str, Sequence[str]], str], tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(dir: Path) -> None:  # noqa: A002  as it is called
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cliqa.utils.paths.tempfile.TemporaryFile", full)
    module, arguments, option, suffix = FILES[tool]
    told = refuse(module, [*arguments, option, f"x{suffix}"])
    assert told.startswith(f"{option} x{suffix}: the disk is full.")


@pytest.mark.parametrize("tool", ["predict", "evaluate --table", "profile", "zero_shot"])
def test_an_unknown_suffix(refuse: Callable[[str, Sequence[str]], str], tool: str) -> None:
    module, arguments, option, _ = FILES[tool]
    told = refuse(module, [*arguments, option, "x.doc"])
    assert told.startswith(f"{option} x.doc: the name must end in ")


@pytest.mark.parametrize("tool", FOLDERS)
@pytest.mark.parametrize("place", ["file", "file/new"])
def test_a_file_where_a_folder_is_wanted(
    refuse: Callable[[str, Sequence[str]], str], tool: str, place: str
) -> None:
    module, arguments, option = FOLDERS[tool]
    told = refuse(module, [*arguments, *given(option, place)])
    assert told.startswith(" ".join([*given(option, place)]) + ": ")
    assert "is a file" in told


@pytest.mark.parametrize("command", ["create", "from-folder"])
def test_a_new_data_set_takes_no_folder_in_use(
    refuse: Callable[[str, Sequence[str]], str], command: str, tmp_path: Path
) -> None:
    (tmp_path / "used" / "inside").mkdir(parents=True)
    told = refuse("cliqa.commands.data.clear_dataset", [command, "no_data", "used"])
    assert told == "used already exists and is not empty. Choose a new folder.\n"


def test_the_configs_own_work_dir_is_looked_at_too(
    refuse: Callable[[str, Sequence[str]], str],
) -> None:
    told = refuse("train_config", [CONFIG, "--cfg-options", "work_dir=file/run"])
    assert told.startswith("work_dir file/run: file is a file, not a folder.")


def test_results_beside_a_run_are_looked_at_too(
    tiny_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    last = tmp_path / "checkpoints" / "last.pth"
    os.link(tiny_run / "checkpoints" / "last.pth", last)
    for name in ("eval_results.json", "model.onnx"):
        (tmp_path / name).mkdir()
    (tmp_path / "figures").write_text("x")
    cases = [
        ("cliqa.commands.runs.evaluate", [], "eval_results.json: it is a folder"),
        ("cliqa.commands.runs.visualize", [], "figures: it is a file"),
        ("cliqa.commands.models.compress", ["export"], "model.onnx: it is a folder"),
    ]
    for module, command, message in cases:
        main = partial(import_module(module).main, [*command, str(tmp_path)])
        assert run_entry_point(main) == 2
        told = capfd.readouterr().err
        assert message in told
        assert told.count("\n") == 1


@pytest.mark.parametrize("number", ["-1", "100000", "2.5", "many"])
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("cliqa.commands.models.predict", ["w", "a.png"]),
        ("cliqa.commands.runs.evaluate", ["w"]),
        ("cliqa.commands.data.clear_dataset", ["features", "root", "--name", "x"]),
    ],
)
def test_workers_are_counted(
    module: str, arguments: list[str], number: str, capfd: pytest.CaptureFixture[str]
) -> None:
    main = import_module(module).main
    assert run_entry_point(partial(main, [*arguments, f"--num-workers={number}"])) == 2
    assert "error: --num-workers: expected an integer from 0 to " in capfd.readouterr().err


def test_nothing_heavy_is_imported_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    calls = [
        *((m, [*a, o, f"file/x{s}"]) for m, a, o, s in FILES.values()),
        *((m, [*a, *given(o, "file/x")]) for m, a, o in FOLDERS.values()),
    ]
    code = (
        "import importlib, sys\n"
        "from cliqa.utils.cli import run_entry_point\n"
        f"for module, arguments in {calls!r}:\n"
        "    main = importlib.import_module(module).main\n"
        "    assert run_entry_point(lambda: main(arguments)) == 2, module\n"
        "    heavy = {'torch', 'matplotlib', 'avalanche'} & set(sys.modules)\n"
        "    assert not heavy, (module, heavy)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr.count("\n") == len(calls)

"""``tools/profile_model.py`` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cliqa.commands.models.profile_model import main
from cliqa.compress.export import export_checkpoint
from cliqa.deploy.openvino.backend import to_openvino
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ConfigError

TOOL = Path(__file__).resolve().parents[3] / "tools" / "profile_model.py"
CONFIG = TOOL.parents[1] / "config"


@pytest.mark.integration
def test_a_run_and_a_config(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "profile.json"
    threads = torch.get_num_threads()
    main(
        [str(tiny_run), str(CONFIG / "demo.py"), "--batch-sizes", "1", "2", "--sizes", "32"]
        + ["--repeats", "2", "--warmup", "0", "--threads", "1", "--device", "cpu"]
        + ["--out", str(out)]
    )
    assert torch.get_num_threads() == threads == 1
    printed = capsys.readouterr().out
    assert "Parameters" in printed
    assert "One forward pass (cpu, 1 thread(s))" in printed
    rows = json.loads(out.read_text())["rows"]
    assert [(row["name"], row["batch"]) for row in rows] == [
        ("tiny", 1),
        ("tiny", 2),
        ("demo", 1),
        ("demo", 2),
    ]
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in rows)


@pytest.mark.integration
def test_an_exported_model_beside_its_run(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    file, out = tmp_path / "m.onnx", tmp_path / "profile.json"
    export_checkpoint(tiny_run, file, size=(32, 32))
    given = [str(tiny_run), str(file), "--repeats", "2", "--warmup", "0", "--device", "cpu"]
    main([*given, "--sizes", "32", "--batch-sizes", "1", "3", "--out", str(out)])
    assert "onnxruntime" in capsys.readouterr().out
    found = json.loads(out.read_text())
    rows = found["rows"]
    assert [(row["backend"], row["batch"]) for row in rows] == [
        *(("torch", 1), ("torch", 3), ("onnxruntime", 1), ("onnxruntime", 3)),
    ]
    assert rows[0]["gmacs"] == rows[2]["gmacs"] == rows[3]["gmacs"] > 0
    assert all(0 < row["p50_ms"] <= row["p95_ms"] and row["threads"] == 1 for row in rows)
    plain, exported = found["models"]["tiny"], found["models"]["m.onnx"]
    assert exported["parameters"]["total"]["all"] == plain["parameters"]["total"]["all"]
    assert exported["file_bytes"] == file.stat().st_size
    status = run_entry_point(lambda: main([str(file), "--sizes", "40"]))
    told = capsys.readouterr().err
    assert status == 2
    assert "m.onnx: fails at batch 1, 40 x 40 pixels" in told
    assert "takes images of 32 x 32 pixels" in told


@pytest.mark.integration
def test_an_openvino_file_beside_the_one_that_it_is_from(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("openvino")
    file, out = tmp_path / "m.onnx", tmp_path / "profile.json"
    export_checkpoint(tiny_run, file, size=(32, 32))
    small = tmp_path / "m.xml"
    to_openvino(file, small)
    main([str(file), str(small), "--repeats", "2", "--warmup", "0", "--out", str(out)])
    assert "openvino" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert [row["backend"] for row in found["rows"]] == ["onnxruntime", "openvino"]
    sizes = [small.with_suffix(ending).stat().st_size for ending in (".xml", ".bin", ".json")]
    assert found["models"]["m.xml"]["file_bytes"] == sum(sizes)
    small.with_suffix(".json").unlink()
    assert run_entry_point(lambda: main([str(small)])) == 2
    assert "m.json, which describes its images, is missing" in capsys.readouterr().err


@pytest.mark.integration
def test_mistakes_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(CONFIG / "fmnist_naive.py")
    status = run_entry_point(lambda: main([config, "--sizes", "4", "--device", "cpu"]))
    told = capsys.readouterr().err
    assert status == 2
    assert "fmnist_naive: fails at batch 1, 4 x 4 pixels" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-sizes", "1", "0"], "--batch-sizes 0: must be at least 1"),
        (["--threads", "0"], "--threads 0: must be at least 1"),
        (["--repeats", "0"], "--repeats 0: must be at least 1"),
        (["--warmup", "-1"], "--warmup -1: must be at least 0"),
        (["--sizes", "big"], "--sizes big: write 224"),
        (["--out", "a.rtf"], r"--out a\.rtf: the name must end in"),
    ],
)
def test_options_are_checked_before_a_model_is_read(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        main(["nowhere", *arguments])


def test_help_imports_no_torch() -> None:
    command = [sys.executable, "-X", "importtime", str(TOOL), "--help"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "FLOPs = 2 MACs" in found.stdout
    assert " torch\n" not in found.stderr

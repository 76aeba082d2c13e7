"""``tools/compress.py`` as a user calls it, and what is done with its files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cliqa.commands.models.compress import main
from cliqa.commands.models.predict import main as predict
from cliqa.commands.runs.test import main as evaluate
from cliqa.compress.export import export_checkpoint
from cliqa.config.load import dump_config, load_config
from cliqa.deploy.onnx.file import read_metadata
from cliqa.utils.cli import run_entry_point

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick_exports")]
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

TOOL = Path(__file__).resolve().parents[3] / "tools" / "compress.py"

PRUNE = ["prune", "nowhere", "--ratio", "0.5", "--epochs", "1", "--out", "x"]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs an entry point here: exit status, stdout and stderr."""

    def run(
        entry: Callable[[Sequence[str]], int | None], *arguments: object
    ) -> tuple[int, str, str]:
        with warnings.catch_warnings():  # the entry point sets filters
            status = run_entry_point(lambda: entry([str(part) for part in arguments]))
        text, told = capfd.readouterr()
        lines = told.splitlines(keepends=True)
        return status, text, "".join(line for line in lines if "by its suffix" not in line)

    return run


@pytest.fixture(scope="module")
def exported(tiny_run: Path, quick_exports: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shared run's model for images of 16 px; only read it."""
    return export_checkpoint(
        tiny_run, tmp_path_factory.mktemp("onnx") / "m.onnx", size=(16, 16)
    ).path


@pytest.fixture
def file(exported: Path, tmp_path: Path) -> Path:
    """Return a file of a test's own."""
    return Path(shutil.copy(exported, tmp_path / "m.onnx"))


def test_it_says_what_it_has_written(tiny_run: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "m.onnx"
    status, text, told = call(main, "export", tiny_run, "--out", out, "--size", 16)
    assert (status, told) == (0, "")
    lines = text.splitlines()
    assert lines[0].startswith(f"written: {out} ({out.stat().st_size:,} bytes, ")
    assert lines[1] == "images: 16 x 16 (height x width); free axes: batch"
    cases = [line.rpartition(": ")[0] for line in lines[2:-1]]
    assert cases == [f"parity, batch {k} of 16 x 16 pixels" for k in (1, 2, 5)]
    assert all(float(line.rpartition(": ")[2]) <= 1e-5 for line in lines[2:-1])
    assert lines[-1] == f"predict with: cliqa predict {out} IMAGES"


def rows_of(text: str) -> dict[str, float]:
    return {row["image"]: float(row["score"]) for row in csv.DictReader(io.StringIO(text))}


def test_predictions_are_the_checkpoints(
    file: Path, call: Call, tiny_run: Path, tiny_data: Path
) -> None:
    status, text, _ = call(predict, tiny_run, tiny_data / "a", tiny_data / "b" / "b07.png")
    assert status == 0
    wanted = rows_of(text)
    assert len(wanted) == 41
    for given in ([file, tiny_data / "a"], ["--model", file, tiny_data / "a"]):
        status, text, told = call(predict, *given, tiny_data / "b" / "b07.png")
        assert (status, told) == (0, "")
        assert rows_of(text) == pytest.approx(wanted, abs=1e-5)
    status, text, told = call(predict, file, tiny_data / "a", "--resize", 20, 20)
    assert (status, text) == (2, "")
    assert "takes images of 16 x 16 pixels (height x width), got 20 x 20. Resize or crop" in told
    for given in (["--model", file, tiny_run], [file, tiny_run / "checkpoints" / "last.pth"]):
        status, text, told = call(predict, *given, tiny_data / "a")
        assert (status, text) == (2, "")
        assert f"{file} and {given[-1]}: two models. Give one" in told
    with pytest.raises(SystemExit):
        call(predict, file)


def test_an_evaluation_is_the_checkpoints(
    file: Path, call: Call, tiny_run: Path, tmp_path: Path
) -> None:
    config, out = tiny_run / "config.py", tmp_path / "out.json"
    status, table, told = call(evaluate, config, tiny_run, "--out", out)
    assert status == 0, told
    status, exported_table, told = call(evaluate, config, "--exported", file)
    assert status == 0, told
    assert exported_table == table
    wanted = json.loads(out.read_text())
    found = json.loads((tmp_path / "eval_results_m_onnx.json").read_text())
    assert found.keys() == wanted.keys()
    assert found["checkpoint"] == str(file)
    said = found["protocol"].pop("exported")
    assert said == {"backend": "onnxruntime", "precision": "fp32"}
    assert found["protocol"] == wanted["protocol"]
    for name, data in wanted["datasets"].items():
        metrics = found["datasets"][name]["metrics"]
        assert metrics.keys() == data["metrics"].keys()
        assert metrics["srcc"] == pytest.approx(data["metrics"]["srcc"], abs=1e-9)
        assert metrics["plcc"] == pytest.approx(data["metrics"]["plcc"], abs=1e-5)
        pairs = zip(found["datasets"][name]["predictions"], data["predictions"], strict=True)
        assert all(a["prediction"] == pytest.approx(b["prediction"], abs=1e-5) for a, b in pairs)


def test_a_file_of_another_run_is_refused(
    file: Path, call: Call, tiny_run: Path, tmp_path: Path
) -> None:
    own = str(tiny_run / "config.py")
    status, _, told = call(evaluate, own, tiny_run, "--exported", file)
    assert status == 2
    assert f"{tiny_run} and --exported {file}: two models. Give one" in told
    config = load_config(own)
    config["scenario"]["datasets"][1]["name"] = "other"
    dump_config(config, tmp_path / "names.py")
    status, _, told = call(evaluate, tmp_path / "names.py", "--exported", file)
    assert status == 2
    assert "other data sets: the config lacks b; the file does not know other. Use the" in told
    config["scenario"]["eval_transform"][0] = {"type": "PILToTensor"}
    dump_config(config, tmp_path / "resized.py")
    status, _, told = call(evaluate, tmp_path / "resized.py", "--exported", file)
    assert status == 2
    assert "another config; these keys differ: scenario.eval_transform.0.type. Use the" in told
    for name, content in (("gone.onnx", None), ("bad.onnx", b"no model")):
        if content:
            (tmp_path / name).write_bytes(content)
        status, _, told = call(evaluate, own, "--exported", tmp_path / name)
        assert status == 2
        assert f"{name}: {'damaged' if content else 'no such file'}" in told
        assert "Traceback" not in told
    assert not list(tmp_path.glob("eval_results*"))


def test_any_size_and_where_it_is_not_to_be_had(call: Call, tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "any.onnx"
    status, text, _ = call(main, "export", tiny_run, "--out", out, "--dynamic-size")
    assert status == 0
    assert "images: any; free axes: batch, height, width" in text
    assert read_metadata(out)["size"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "big"], "error: --size big: write 224"),
        (["--out", "m.pth"], "m.pth: the name of an ONNX file must end in .onnx"),
        (["--tolerance", "0"], "tolerance must be above 0"),
    ],
)
def test_mistakes_are_told_in_a_line(
    call: Call,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, text, told = call(main, "export", tiny_run, *arguments)
    assert (status, text) == (2, "")
    assert message in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_imports_no_torch() -> None:
    command = [sys.executable, "-X", "importtime", str(TOOL), "export", "--help"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "one ONNX file" in found.stdout
    assert " torch\n" not in found.stderr


def test_a_file_is_quantized(file: Path, tiny_data: Path, call: Call) -> None:
    options = ("--precision", "fp16", "--count", 4, "--dataset-root", tiny_data)
    status, text, _ = call(main, "quantize", file, *options)
    assert status == 0
    small = file.with_name("m_fp16.onnx")
    assert text.splitlines()[-1].startswith(f"written: {small} ")
    assert read_metadata(small)["precision"] == "fp16"


def test_a_run_is_pruned_and_the_result_predicts(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, call: Call
) -> None:
    pytest.importorskip("torch_pruning")
    out = tmp_path / "half"
    options = ("--ratio", 0.5, "--epochs", 0, "--out", out, "--device", "cpu")
    status, text, _ = call(main, "prune", tiny_run, *options)
    assert (status, text.splitlines()[-1]) == (0, str(out))
    image = next((tiny_data / "a").glob("*.png"))
    status, table, _ = call(predict, out, image)
    assert status == 0
    assert len(rows_of(table)) == 1


@pytest.mark.parametrize("name", ["m.onnx", "m.xml"])
@pytest.mark.parametrize(
    "command", [["auto"], ["prune", "--ratio", "0.5", "--epochs", "1"], ["quantize"], ["export"]]
)
def test_an_exported_file_is_no_checkpoint(
    name: str, command: list[str], tmp_path: Path, call: Call
) -> None:
    (tmp_path / name).write_bytes(b"exported")
    status, _, told = call(main, command[0], tmp_path / name, *command[1:])
    assert status == 2
    said = {"export": "exported already", "quantize": "damaged"} if name == "m.onnx" else {}
    assert said.get(command[0], "an exported model, which holds no checkpoint") in told


def test_a_search_tells_its_choice(tiny_run: Path, tmp_path: Path, call: Call) -> None:
    asked = ("--count", 32, "--rounds", 2, "--backends", "onnxruntime", "--out", tmp_path / "d")
    status, _, told = call(main, "auto", tiny_run, *asked, "--target", "latency", "--max-drop", 2)
    assert status == 0
    assert "best in latency within the budget: " in told
    assert told.count("best in latency") == 1  # a library must not add a second handler
    assert (tmp_path / "d" / "deployments.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quantize", "x.onnx", "--precision", "bf16"], "onnxruntime bf16: cannot be written"),
        (["quantize", "x.onnx"], "x.onnx"),
        (["prune", "nowhere", "--ratio", "0.5", "--epochs", "1"], "nowhere"),
        ([*PRUNE, "--round-to", "0"], "round_to must be an integer >= 1, got 0"),
        (["auto", "nowhere"], "nowhere"),
        (["auto", "nowhere", "--max-mib", "-1"], "max_mib must be above 0, got -1.0"),
        (["auto", "nowhere", "--count", "5"], "images must be an integer >= 32, got 5"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, call: Call) -> None:
    status, _, told = call(main, *arguments)
    assert status != 0
    assert message in told
    assert "Traceback" not in told

"""``tools/evaluate.py`` as a user calls it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.commands.runs.evaluate import main
from cliqa.compress.export import export_checkpoint
from cliqa.deploy.file_checksum import seal_onnx
from cliqa.deploy.onnx.file import describe, load_proto, read_metadata
from cliqa.deploy.onnx.half import to_float16
from cliqa.deploy.openvino.backend import to_openvino
from cliqa.evaluation.bootstrap import paired_bootstrap
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.utils.cli import run_entry_point
from tests.commands.calls import Call, called
from tests.forks import run_script

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick_exports")]

TOOL = Path(__file__).resolve().parents[3] / "tools" / "evaluate.py"


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Replace the description of an ONNX file."""
    proto = load_proto(path)
    describe(proto, metadata)
    path.write_bytes(seal_onnx(proto))


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that evaluates on the CPU: exit status, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        return called(main, capfd, *arguments, "--device", "cpu")

    return run


@pytest.fixture
def first(tiny_run: Path) -> Path:
    return tiny_run / "checkpoints" / "exp_0.pth"


def read(folder: Path, label: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / label / "eval_results.json").read_text())
    return content


def predictions(content: dict[str, Any], name: str) -> list[float]:
    return [row["prediction"] for row in content["datasets"][name]["predictions"]]


@pytest.mark.slow
def test_without_a_config_the_numbers_of_the_run_are_found_again(
    tiny_run: Path, tmp_path: Path
) -> None:
    words = (TOOL, tiny_run, "--out", "e.json", "--table", "t.md", "t.csv")
    found = run_script(*words, cwd=tmp_path, anew=True)
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    content = json.loads((tmp_path / "e.json").read_text())
    results = json.loads((tiny_run / "results.json").read_text())
    assert list(content["datasets"]) == results["datasets"]
    for k, name in enumerate(results["datasets"]):
        metrics = content["datasets"][name]["metrics"]
        for measure, matrix in results["matrix"].items():
            assert metrics[measure] == matrix[-1][k]
        assert metrics["interval"]["srcc"] == results["interval"]["srcc"][-1][k]
        table = " ".join((tmp_path / "t.md").read_text().split())
        assert f"| {name} | tiny | 12 | {metrics['srcc']:.3f} |" in table
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.json", "t.csv", "t.md"]


def test_several_checkpoints_are_compared_on_the_same_images(
    call: Call, tiny_run: Path, first: Path, tmp_path: Path
) -> None:
    tables = ("--table", tmp_path / "t.csv", tmp_path / "t.tex", "--format", "latex")
    status, text, told = call(first, tiny_run, "--out", tmp_path / "e", *tables)
    assert status == 0, told
    assert (tmp_path / "t.tex").read_text() == text
    assert text.count(r"\end{tabular}") == 2
    assert "\n% protocol: " in text
    results = json.loads((tiny_run / "results.json").read_text())
    files = [read(tmp_path / "e", label) for label in ("tiny-exp_0", "tiny")]
    assert [content["experiences_learnt"] for content in files] == [1, 3]
    with (tmp_path / "t.csv").open() as file:
        lines = {
            (row["dataset"], row["model"], row["measure"]): row for row in csv.DictReader(file)
        }
    for k, name in enumerate("abc"):
        stored = [load_predictions(tiny_run, t, name) for t in (0, 2)]
        for content, label, t, npz in zip(
            files, ("tiny-exp_0", "tiny"), (0, 2), stored, strict=True
        ):
            assert predictions(content, name) == pytest.approx(npz.prediction.tolist(), abs=1e-6)
            value = results["matrix"]["srcc"][t][k]
            assert content["datasets"][name]["metrics"]["srcc"] == value
            assert float(lines[name, label, "srcc"]["value"]) == value
        expected = paired_bootstrap(stored[0].prediction, stored[1].prediction, stored[0].target)
        row = files[0]["comparisons"][k]
        assert row == files[1]["comparisons"][k]
        assert (row["dataset"], row["a"], row["b"]) == (name, "tiny-exp_0", "tiny")
        assert row["difference"] == pytest.approx(expected.difference)
        assert row["interval"] == pytest.approx(expected.interval)
        assert float(lines[name, "tiny-exp_0 - tiny", "srcc"]["value"]) == row["difference"]
    assert " ".join(text.split()).count(r"& tiny-exp\_0 & tiny &") == 3
    assert not (tiny_run / "eval_results.json").exists()


def test_by_default_the_files_lie_in_the_work_dirs(
    call: Call, tiny_run: Path, first: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy" / "checkpoints"
    folder.mkdir(parents=True)
    for source, name in ((first, "exp_0"), (first, "last")):
        (folder / f"{name}.pth").write_bytes(source.read_bytes())
    loose = tmp_path / "loose.pth"
    loose.write_bytes(first.read_bytes())
    status, _, told = call(folder.parent, folder / "exp_0.pth", loose, "--datasets", "a")
    assert status == 0, told
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")}
    names = {"copy/eval_results.json", "copy/eval_results_exp_0.json", "eval_results_loose.json"}
    assert written == names


def test_exported_files_are_compared_with_their_run(
    call: Call, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    for library in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(library)
    file = export_checkpoint(tiny_run, tmp_path / "m.onnx", size=(16, 16)).path
    to_float16(file, tmp_path / "half.onnx", [torch.rand(4, 3, 16, 16)])
    to_openvino(file, tmp_path / "m.xml")
    files = [tmp_path / name for name in ("m.onnx", "half.onnx", "m.xml")]
    root = ("--dataset-root", tiny_data)  # files that lie outside their run's folder
    status, text, told = call(tiny_run, *files, "--out", tmp_path / "e", *root)
    assert status == 0, told
    own = read(tmp_path / "e", "tiny")
    known = json.loads((tiny_run / "results.json").read_text())["matrix"]["srcc"][-1]
    for label in ("m.onnx", "half.onnx", "m.xml"):
        content = read(tmp_path / "e", label)
        for name in "abc":
            said = np.array([predictions(one, name) for one in (content, own)])
            off = 1e-3 if label == "half.onnx" else 1e-5
            np.testing.assert_allclose(said[0], said[1], rtol=0, atol=off)
            truth = [row["target"] for row in own["datasets"][name]["predictions"]]
            expected = paired_bootstrap(said[1], said[0], np.array(truth))
            (row,) = [
                row
                for row in content["comparisons"]
                if (row["dataset"], row["a"], row["b"]) == (name, "tiny", label)
            ]
            assert row["note"] is None
            assert row["value_a"] == known["abc".index(name)]
            assert row["difference"] == pytest.approx(expected.difference)
            assert row["interval"] == pytest.approx(expected.interval)
        for key in ("batch_size", "bootstrap", "seed", "preprocessing", "split"):
            assert content["protocol"][key] == own["protocol"][key]
        assert content["experiences_learnt"] == 3
        assert label in text
    assert read(tmp_path / "e", "m.xml")["protocol"]["exported"]["backend"] == "openvino"


def test_exported_files_of_no_use_are_told_with_the_rest(
    call: Call, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    for library in ("onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    file = export_checkpoint(tiny_run, tmp_path / "m.onnx", size=(16, 16)).path
    status, _, told = call(file, "--datasets", "a", "--dataset-root", tiny_data)
    assert status == 0, told
    written = json.loads((tmp_path / "eval_results_m_onnx.json").read_text())
    assert list(written["datasets"]) == ["a"]
    about = read_metadata(file)
    about.pop("experiences_learnt")
    write_metadata(file, about)
    status, text, told = call(file, tmp_path / "gone.onnx", tiny_run, "--out", tmp_path / "e")
    assert (status, text) == (2, "")
    one, two = told.splitlines()
    assert "m.onnx: exported from a pretraining, which has learnt no scores to evaluate" in one
    assert two.startswith(f"error: gone.onnx: {tmp_path / 'gone.onnx'}: no such file. Write it")
    status, _, told = call(file, file)
    assert (status, "m.onnx: given twice" in told) == (2, True)


def test_crops_stand_in_the_file_and_do_not_depend_on_the_batch(
    call: Call, tiny_run: Path, tmp_path: Path
) -> None:
    found = {}
    for size in (1, 5):
        options = ("--crops", "random:4", "--crop-size", 12, "--seed", 7, "--batch-size", size)
        status, text, told = call(
            tiny_run, *options, "--datasets", "c", "--out", tmp_path / f"{size}.json"
        )
        assert status == 0, told
        assert "protocol: crops random:4 of 12 px, seed 7; split test" in text
        found[size] = json.loads((tmp_path / f"{size}.json").read_text())
    protocol = found[5]["protocol"]
    assert {key: protocol[key] for key in ("crops", "crop_size", "crop_seed", "resize")} == {
        "crops": "random:4",
        "crop_size": 12,
        "crop_seed": 7,
        "resize": None,
    }
    assert protocol["preprocessing"][-1]["count"] == 4
    assert predictions(found[1], "c") == pytest.approx(predictions(found[5], "c"), abs=1e-6)
    call(tiny_run, "--datasets", "c", "--out", tmp_path / "own.json")
    own = json.loads((tmp_path / "own.json").read_text())
    assert predictions(own, "c") != pytest.approx(predictions(found[5], "c"), abs=1e-4)


def test_a_file_of_scores_with_its_image_folder(
    call: Call, tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    with (tiny_data / "b" / "scores.csv").open() as file:
        rows = [
            {"image": f"b/{row['image']}", "score": str(10 * (1 - float(row["score"])))}
            for row in csv.DictReader(file)
        ]
    (tmp_path / "metas.json").write_text(json.dumps(rows))
    given = ("--datasets", "b", f"{tmp_path / 'metas.json'}={tiny_data}", "--split", "all")
    scale = ("--score-range", 0, 10, "--lower-is-better")
    status, text, told = call(tiny_run, *given, *scale, "--out", tmp_path / "e.json")
    assert status == 0, told
    found = json.loads((tmp_path / "e.json").read_text())["datasets"]
    assert {name: data["metrics"]["num_samples"] for name, data in found.items()} == {
        "b": 40,
        "metas": 40,
    }
    for measure in ("srcc", "plcc", "krcc"):
        same = pytest.approx(found["b"]["metrics"][measure], abs=1e-6)
        assert found["metas"]["metrics"][measure] == same
    every = ("--datasets", "all", *given[2:])
    status, text, told = call(tiny_run, *every, *scale, "--out", tmp_path / "all.json")
    assert status == 0, told
    assert list(json.loads((tmp_path / "all.json").read_text())["datasets"]) == [*"abc", "metas"]
    status, _, told = call(tiny_run, *given)
    assert status == 2
    assert "Add --score-range LOW HIGH" in told


def test_all_mistakes_are_told_before_anything_is_evaluated(
    call: Call, tiny_run: Path, first: Path, tmp_path: Path
) -> None:
    status, text, told = call(tmp_path / "x", tmp_path / "y.pth", tiny_run)
    assert (status, text) == (2, "")
    assert told.splitlines() == [
        f"error: {tmp_path / name}: no such checkpoint. Train first, or give a file: exp_2.pth."
        for name in ("x", "y.pth")
    ]
    broken = tmp_path / "broken.pth"
    broken.write_bytes(first.read_bytes()[:5000])
    status, text, told = call(broken, tiny_run, first, "--datasets", "d", "--out", tmp_path / "e")
    assert (status, text) == (2, "")
    one, two = told.splitlines()
    assert one.startswith(f"error: broken: {broken}: damaged")
    assert two.startswith("error: tiny, tiny-exp_0: --datasets d: the config has a, b, c.")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--table", "t.rtf"],
            "error: --table t.rtf: the name must end in .txt, .md, .tex, .html or",
        ),
        (
            ["--score-range", "5", "1"],
            "error: --score-range 5 1: LOW must be below HIGH, both finite.",
        ),
        (["--crops", "25"], "error: --crops 25: write grid:ROWSxCOLUMNS, random:COUNT or whole"),
        (["--batch-size", "0"], "error: --batch-size 0: must be at least 1."),
        (["--num-workers", "-1"], "error: --num-workers: expected an integer from 0 to "),
        (["--num-workers", "100000"], "CPUs), got 100000."),
        (["--num-workers", "1e30"], "CPUs), got '1e30'."),
        (["--device", "cuda:99"], "Use --device auto or cpu."),
    ],
)
def test_mistakes_are_told_in_a_line(
    tiny_run: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run_entry_point(lambda: main([str(tiny_run), *arguments])) == 2
    text, told = capfd.readouterr()
    assert text == ""
    assert message in told
    assert told.count("\n") == 1


def test_classifiers_are_compared_and_not_with_models_of_scores(
    call: Call,
    split_config: dict[str, Any],
    run_config: Callable[..., Path],
    tiny_run: Path,
    tmp_path: Path,
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(split_config)
    checkpoints = (folder / "checkpoints" / "exp_0.pth", folder)
    status, text, told = call(*checkpoints, "--out", tmp_path / "e")
    assert status == 0, told
    results = json.loads((folder / "results.json").read_text())
    for label, t in (("run-exp_0", 0), ("run", 4)):
        content = read(tmp_path / "e", label)
        for k, name in enumerate(results["datasets"]):
            metrics = content["datasets"][name]["metrics"]
            for measure in ("accuracy", "accuracy_task_il"):
                assert metrics[measure] == results["matrix"][measure][t][k]
                assert metrics["interval"][measure] == results["interval"][measure][t][k]
    assert "difference of accuracy" in text
    accuracy = [results["matrix"]["accuracy"][t][0] for t in (0, 4)]
    assert content["comparisons"][0]["difference"] == pytest.approx(accuracy[0] - accuracy[1])
    status, _, told = call(folder, tiny_run)
    assert status == 2
    assert "(run: classes, tiny: scores). Evaluate each kind in a call of its own." in told


def test_the_best_epoch_is_measured_by_its_name(call: Call, tiny_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "best.json"
    status, _, told = call(tiny_run, "--checkpoint", "best", "--out", target)
    assert status == 0, told
    assert json.loads(target.read_text())["checkpoint"].endswith("best.pth")
    status, _, told = call(tiny_run, "--checkpoint", "worst")
    assert (status, "There are: best, exp_0" in told) == (2, True)

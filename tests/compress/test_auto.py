"""A run's deployments as a user gets them: files, table, figure, choice, mistakes."""

from __future__ import annotations

import copy
import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cliqa.commands.runs.train import main
from cliqa.compress import auto as module
from cliqa.compress.auto import search_deployments
from cliqa.compress.deployments import Deployments, can_be_made, mean_quality
from cliqa.config.load import dump_config
from cliqa.deploy.onnx.file import read_metadata
from cliqa.deploy.search.auto_optimizer import Artifact
from cliqa.deploy.search.options import DeployOptions
from cliqa.deploy.search.pareto import RecipeResult
from cliqa.deploy.search.recipes import BASELINE, Recipe
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.checkpoints import deployed_of
from cliqa.engine.work_dir.data_record import DataRecord
from cliqa.inference.image_model import open_model
from cliqa.models.fake_quantization import remove_rounding
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError
from cliqa.utils.locks import folder_lock

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("torch_pruning")
pytestmark = pytest.mark.usefixtures("quick_exports")

OPTIONS: dict[str, Any] = {
    "budget": {"max_drop": 2.0},
    "prunings": [0.5],
    "backends": ["onnxruntime"],
    "epochs": 1,
    "images": 32,
    "rounds": 3,
}


@pytest.fixture(scope="module")
def done(
    tiny_run: Path, tmp_path_factory: pytest.TempPathFactory, quick_exports: None
) -> tuple[Any, Path]:
    """Return the outcome of a search over a tiny run, and its folder: only read it."""
    folder = tmp_path_factory.mktemp("deploy")
    return search_deployments(tiny_run, folder, DeployOptions(**OPTIONS)), folder


def test_every_recipe_is_measured_and_written(done: tuple[Any, Path]) -> None:
    outcome, folder = done
    keys = [row.recipe.key for row in outcome.rows]
    assert keys == [
        "torch-fp32",
        "onnxruntime-fp32",
        "onnxruntime-fp16",
        "onnxruntime-int8",
        "onnxruntime-fp32-p50",
        "onnxruntime-int8-p50",
    ]
    for row in outcome.rows[1:]:
        assert row.bytes == Path(row.file).stat().st_size
        assert row.smaller == pytest.approx(outcome.rows[0].bytes / row.bytes)
        assert row.drop == pytest.approx(outcome.rows[0].quality - row.quality)
    sizes = {row.recipe.key: row.bytes for row in outcome.rows}
    assert sizes["onnxruntime-int8"] < sizes["onnxruntime-fp16"] < sizes["onnxruntime-fp32"]
    assert outcome.best.bytes == min(row.bytes for row in outcome.rows)
    assert (folder / "deployments.png").stat().st_size > 1000


def test_quality_is_that_of_the_test_tool(done: tuple[Any, Path], tiny_run: Path) -> None:
    results = json.loads((tiny_run / "results.json").read_text())
    final = results["matrix"]["srcc"][-1]
    whole = done[0].rows
    assert whole[0].test_quality == pytest.approx(sum(final) / 3, abs=1e-9)
    assert whole[1].test_quality == pytest.approx(whole[0].test_quality, abs=1e-6)


def test_the_table_says_what_was_measured_and_on_what(done: tuple[Any, Path]) -> None:
    outcome, folder = done
    about = json.loads((folder / "deployments.json").read_text())
    assert about["measure"] == "srcc"
    assert about["chosen_on"] == "val"
    assert about["best"] == outcome.best.recipe.key
    assert about["operators"][0][:2] == ["operator", "onnxruntime fp32: ms"]
    assert [row["key"] for row in about["rows"]] == [row.recipe.key for row in outcome.rows]
    text = (folder / "deployments.md").read_text()
    said = (about["processor"], "1 thread(s), 1 image(s)", "validation split alone", "chosen")
    for part in (*said, "Time by operator", "onnxruntime fp32"):
        assert part in text
    with (folder / "deployments.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(outcome.rows)


def test_the_same_call_goes_on(
    done: tuple[Any, Path], tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    build = Deployments.build

    def note(own: Deployments, recipe: Recipe) -> Any:
        built.append(recipe)
        return build(own, recipe)

    monkeypatch.setattr(Deployments, "build", note)
    options = {**OPTIONS, "target": "latency", "rounds": 5}
    again = search_deployments(tiny_run, done[1], DeployOptions(**options))
    assert built == [BASELINE]
    assert again.rows == done[0].rows
    with pytest.raises(ArtifactError, match="differs in its calibration images"):
        search_deployments(tiny_run, done[1], DeployOptions(**{**options, "images": 48}))


def test_two_searches_cannot_share_a_folder(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / ".onnxruntime-fp32.onnx.a1b2c3d4.tmp").touch()
    with (
        folder_lock(tmp_path),
        pytest.raises(ArtifactError, match=r"another search is running in it\. Wait.*--out"),
    ):
        search_deployments(tiny_run, tmp_path, DeployOptions(**OPTIONS))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_that_trains_is_not_searched_in_its_own_folder(
    tiny_run: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    with (
        WorkDir(run).held(resumes=True),
        pytest.raises(ArtifactError, match=r"run: another training is running in it\. Wait.*--out"),
    ):
        search_deployments(run, options=DeployOptions(**OPTIONS))
    assert not (run / "deploy").exists()


def test_a_chosen_file_predicts(done: tuple[Any, Path]) -> None:
    model = open_model(done[0].best.file, torch.device("cpu"))
    scores = model(torch.rand(3, 3, 16, 16))
    assert scores.shape == (3,)
    assert scores.isfinite().all()


@pytest.mark.slow
def test_openvino_takes_part(tiny_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    options = {**OPTIONS, "backends": ["openvino"], "prunings": []}
    outcome = search_deployments(tiny_run, tmp_path, DeployOptions(**options))
    assert [row.recipe.key for row in outcome.rows if row.valid] == [
        "torch-fp32",
        "openvino-fp32",
        "openvino-bf16",
        "openvino-int8",
        "openvino-int8-bf16",
    ]
    same = outcome.rows[1]
    assert same.test_quality == pytest.approx(outcome.rows[0].test_quality, abs=1e-6)
    model = open_model(str(outcome.rows[3].file), torch.device("cpu"))
    assert model.names == ["a", "b", "c"]


def test_classes_are_measured_by_accuracy_and_without_validation_on_the_tests(
    split_config: dict[str, Any], run_config: Callable[..., Path], tmp_path: Path
) -> None:
    folder = run_config(copy.deepcopy(split_config))
    own = Deployments(folder / "checkpoints" / "last.pth", tmp_path, DeployOptions(images=32))
    assert own.measure == "accuracy"
    assert own.split == "test"
    chosen, test = own.evaluate(own.build(BASELINE))
    final = json.loads((folder / "results.json").read_text())["matrix"]["accuracy"][-1]
    assert chosen == test == pytest.approx(sum(final) / len(final))


def test_what_is_timed_is_what_is_evaluated(tiny_run: Path, tmp_path: Path) -> None:
    own = Deployments(tiny_run / "checkpoints" / "last.pth", tmp_path, DeployOptions(images=32))
    plain = own.build(BASELINE)
    turned = Artifact(lambda images: -plain.forward(images), plain.bytes)
    assert own.evaluate(turned) == pytest.approx([-value for value in own.evaluate(plain)])  # type: ignore[operator]
    half = own.build(Recipe(0, "torch", "bf16"))
    images = torch.rand(4, 3, 16, 16)
    assert not torch.equal(half.forward(images), plain.forward(images))
    assert own.evaluate(half) == pytest.approx(own.evaluate(plain), abs=0.2)


def test_files_of_other_weights_are_not_used_again(tiny_run: Path, tmp_path: Path) -> None:
    first, last = (tiny_run / "checkpoints" / f"{name}.pth" for name in ("exp_0", "last"))
    written = []
    for checkpoint in (first, last, last):
        file = Deployments(checkpoint, tmp_path, DeployOptions(images=32)).build(Recipe()).file
        assert file is not None
        written.append((file.stat().st_mtime_ns, read_metadata(file)["experiences_learnt"]))
    assert [learnt for _, learnt in written] == [1, 3, 3]
    assert written[1] == written[2]


def test_a_measure_that_is_not_defined_is_told() -> None:
    b: dict[str, float | None] = {"srcc": None}
    results = {"datasets": {"a": {"metrics": {"srcc": 0.5}}, "b": {"metrics": b}}}
    with pytest.raises(ModelError, match="b: srcc is not defined"):
        mean_quality(results, "srcc")
    b["srcc"] = 0.7
    assert mean_quality(results, "srcc") == pytest.approx(0.6)


def test_a_backend_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    find = module.can_be_made.__globals__["importlib"].util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "nncf" else find(name)
    )
    assert can_be_made(["onnxruntime", "openvino"]) == ["onnxruntime"]


def test_a_search_without_its_libraries_names_the_extra(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'onnx is not installed\. .*"\.\[deploy\]"'):
        search_deployments(tiny_run, tmp_path)


def test_several_threads_are_told_what_their_times_are(done: tuple[Any, Path]) -> None:
    batch = torch.zeros(1, 3, 8, 8)
    told = []
    for threads in (1, 2):
        options = DeployOptions(threads=threads)
        own: Any = SimpleNamespace(split="val", data=DataRecord({}), options=options)
        told.append(module._notes(done[0], own, batch))
    assert ["Compare with one thread." in text for text in told] == [False, True]


def test_a_pruned_model_is_exported_alone(tiny_run: Path, tmp_path: Path) -> None:
    own = Deployments(tiny_run / "checkpoints" / "exp_2.pth", tmp_path, DeployOptions(images=32))
    with pytest.raises(ConfigError, match="pruned models are exported. Use onnxruntime"):
        own.build(Recipe(0.5, "torch", "fp32"))


def test_what_was_not_measured_has_an_empty_line(done: tuple[Any, Path]) -> None:
    outcome = done[0]
    rows = [*outcome.rows, RecipeResult(Recipe(0.7), note="failed: so")]
    table = module.deployments_table(module.Outcome(rows, [], None, "size", outcome.budget), "srcc")
    assert table.rows[-1][0] == "onnxruntime fp32, 70 % of channels pruned"
    assert table.rows[-1][-1] == "not measured"


def test_a_config_can_end_with_deployments(
    tiny_config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = {**OPTIONS, "prunings": [], "images": 32}
    dump_config({**tiny_config, "deploy": section}, tmp_path / "own.py")
    command = [str(tmp_path / "own.py"), "--work-dir", str(tmp_path / "run"), "--device", "cpu"]
    assert (
        run_entry_point(lambda: main([*command, "--cfg-options", "cl_strategy.train_epochs=1"]))
        == 0
    )
    folder = tmp_path / "run" / "deploy"
    best = json.loads((folder / "deployments.json").read_text())["best"]
    assert (folder / f"{best}.onnx").is_file()
    wrong = ["--cfg-options", "deploy.images=3"]
    assert run_entry_point(lambda: main([*command, *wrong])) != 0
    assert "images must be an integer >= 32" in capsys.readouterr().err
    assert (folder / f"{best}.onnx").is_file()  # the run was not moved aside


def test_pytorch_is_timed_without_the_rounding_of_training(
    tiny_config: dict[str, Any], run_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = copy.deepcopy(tiny_config)
    config["cl_strategy"] |= {"train_epochs": 1, "plugins": [{"type": "QAT", "bits": 3}]}
    own = Deployments(
        run_config(config) / "checkpoints" / "last.pth", tmp_path, DeployOptions(images=32)
    )
    made = own.build(BASELINE)
    rounded, _ = deployed_of(own.state)
    images = torch.rand(4, 3, 16, 16)
    assert not torch.allclose(made.forward(images), rounded(images), atol=1e-4)
    remove_rounding(rounded)
    assert torch.equal(made.forward(images), rounded(images))

"""The soak: a run that is killed ends as one that is not, and one that does not is told."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.engine.train import train
from perf.soak import trial
from perf.soak.__main__ import soak, table
from perf.soak.cases import CLASSES, OTHERS, ROOT, SCORES, VARIANTS, Case, cases
from perf.soak.compare import differences
from perf.soak.trial import end, reference, start

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder to work in."""
    (tmp_path / "runs").mkdir()
    return tmp_path


@pytest.mark.slow
def test_a_training_survives(
    root: Path, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])

    def work(folder: Path) -> None:
        train(tiny_config, config_file="x.py", work_dir=folder, device="cpu", resume="auto")

    (first, *_) = found = soak(root, [Case("tiny", work, "plain")], kills=3, seed=0, jobs=1)
    assert [series.differences for series in found] == [[]] * len(found)
    assert sum(series.hits for series in found) >= 3
    assert (root / "runs" / "tiny" / "whole" / "results.json").is_file()
    assert len(first.moments) == len(first.signals) >= 1


def write(folder: Path, text: str) -> None:
    """Leave a result, slowly."""
    folder.mkdir(exist_ok=True)
    (folder / "begun").touch()
    time.sleep(0.05)
    (folder / "begun").unlink()
    (folder / "results.json").write_text(json.dumps({"srcc": text, "seconds": time.time()}))


def counted(folder: Path) -> None:
    """Give a result that depends on how often it was begun."""
    folder.mkdir(exist_ok=True)
    count = folder / "count.log"
    with count.open("a") as file:
        file.write("x")
    write(folder, count.read_text())


def stubborn(folder: Path) -> None:
    """Refuse to go on where it has begun."""
    if folder.exists():
        raise RuntimeError("there is something")
    write(folder, "same")


def broken(folder: Path) -> None:
    """Fail."""
    raise ValueError(folder)


def test_what_differs_fails_or_never_worked_is_told_and_the_others_go_on(root: Path) -> None:
    works = {"counted": counted, "stubborn": stubborn, "broken": broken}
    chosen = [Case("good", lambda folder: write(folder, "same"))]
    chosen += [Case(name, work) for name, work in works.items()]
    found = soak(root, chosen, kills=16, seed=3, jobs=2)
    by_name = {case.name: [one for one in found if one.name == case.name] for case in chosen}
    assert all(by_name.values())
    assert {series.differences == [] for series in by_name["good"]} == {True}
    told = [what for series in by_name["counted"] for what in series.differences]
    assert any(what.startswith("results.json: srcc is 'xx") for what in told)
    assert any("ended with 1" in str(series.differences) for series in by_name["stubborn"])
    (never,) = by_name["broken"]
    assert "the run without kills ended with 1" in never.differences[0]
    lines = table(chosen, found)
    assert lines[0].split() == ["case", "with", "series", "kills", "identical"]
    assert len(lines) == 2 + len(chosen) + sum(len(series.differences) for series in found)


def test_a_process_ends_by_itself_by_a_signal_or_by_force(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = root / "log"
    assert end(start(lambda _: None, root, log), 60.0) == 0
    assert end(start(broken, root, log), 60.0) == 1
    assert "ValueError" in log.read_text()
    for number in (signal.SIGKILL, signal.SIGTERM):
        assert end(start(lambda _: time.sleep(60), root, log), 0.05, number) is None

    def deaf(folder: Path) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (folder / "deaf").touch()
        time.sleep(60)

    monkeypatch.setattr(trial, "GRACE", 0.1)
    child = start(deaf, root, log)
    while not (root / "deaf").exists():
        time.sleep(0.005)
    with pytest.raises(RuntimeError, match="signal 15 did not stop it within 0 s"):
        end(child, 0.0, signal.SIGTERM)


def test_with_a_program_its_own_processes_end(root: Path) -> None:
    def work(folder: Path) -> None:
        child = os.fork()
        if child:
            (folder / "child").write_text(str(child))
        time.sleep(60)

    process = start(work, root, root / "log")
    while not (root / "child").exists() or not (root / "child").read_text():
        time.sleep(0.005)
    assert end(process, 0.0, signal.SIGKILL, tree=True) is None
    grandchild = Path("/proc") / (root / "child").read_text() / "stat"
    for _ in range(1000):
        if not grandchild.exists() or grandchild.read_text().split()[2] == "Z":
            break
        time.sleep(0.005)
    else:
        raise AssertionError("it lives")


def test_a_run_without_kills_is_done_once(root: Path) -> None:
    for _ in range(2):
        assert reference(counted, root / "runs" / "a") > 0
    assert (root / "runs" / "a" / "count.log").read_text() == "x"


def run_of(folder: Path, **changes: Any) -> Path:
    """Write a small run, with changes."""
    state = {"weights": torch.tensor([1.0, float("nan")]), "costs": [1], "path": "x"}
    scores = np.array([0.5, np.nan])
    values = {"state": state, "scores": scores, "row": {"loss": 0.1, "seconds": 3}, **changes}
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(values["state"], folder / "checkpoints" / "last.pth")
    np.savez(folder / "a.npz", prediction=values["scores"])
    (folder / "results.json").write_text(json.dumps(values["row"]))
    (folder / "metrics.jsonl").write_text(values.get("lines", "{}\n"))
    (folder / "run.json").write_text(str(folder))
    (folder / ".lock").touch()
    return folder


def test_equal_runs_have_no_differences(tmp_path: Path) -> None:
    other = {"loss": 0.1, "seconds": 4}
    assert differences(run_of(tmp_path / "a"), run_of(tmp_path / "b", row=other)) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"state": {"weights": torch.ones(2), "costs": [], "path": "x"}}, "last.pth: weights"),
        ({"row": {"loss": 0.1, "seconds": 3, "name": "b"}}, "results.json: it has other keys"),
        ({"row": {"loss": "low", "seconds": 3}}, "results.json: loss"),
        ({"state": {"weights": torch.ones(2)}}, "last.pth: it has other keys or another length"),
        ({"scores": np.array([0.5, 0.5])}, "a.npz: prediction"),
        ({"scores": np.array([0.5, np.nan], dtype=np.float32)}, "a.npz: prediction"),
        ({"row": {"loss": 0.2, "seconds": 3}}, "results.json: loss"),
        ({"row": {"loss": None, "seconds": 3}}, "results.json: loss"),
        ({"lines": "{}\n{}\n"}, "metrics.jsonl: its bytes"),
    ],
)
def test_one_bit_is_a_difference(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    found, *_ = differences(run_of(tmp_path / "a"), run_of(tmp_path / "b", **changes))
    assert text in found


def test_exported_files_are_compared_without_the_sum_of_their_checkpoint(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    for name, kind, classes in (
        ("a", "Relu", 2),
        ("b", "Relu", 2),
        ("c", "Abs", 2),
        ("d", "Relu", 3),
    ):
        node = onnx.helper.make_node(kind, ["x"], ["y"])
        output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [output]))
        about = json.dumps({"checkpoint_sha256": name, "classes": classes})
        onnx.helper.set_model_props(model, {"cliqa": about, "author": "me"})
        (tmp_path / name).mkdir()
        onnx.save(model, tmp_path / name / "model.onnx")
    found = [differences(tmp_path / "a", tmp_path / name) for name in "bcd"]
    assert found == [[], ["model.onnx: its graph"], ["model.onnx: cliqa.classes"]]


def test_files_that_are_missing_left_over_or_moved_aside_are_told(tmp_path: Path) -> None:
    whole, torn = run_of(tmp_path / "a"), run_of(tmp_path / "b")
    (whole / "encoder.pth").touch()
    (torn / ".last.pth.a1b2c3d4.tmp").touch()
    (tmp_path / "b.1").mkdir()
    assert differences(whole, torn) == [
        "encoder.pth: only without kills",
        ".last.pth.a1b2c3d4.tmp: only with kills",
        "b.1: moved aside",
    ]


def test_every_method_has_a_case(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    known = list(cases(tmp_path))
    names = [case.name for case in known]
    assert len(set(names)) == len(names)
    assert {case.variant for case in known} >= set(VARIANTS)
    left = {"demo.py", "demo_resnet18.py", "demo_resnet18_joint.py", "fmnist_replay_int8.py"}
    # methods of others, with other data or another network
    left |= {"fmnist_demo.py", "fmnist_demo_naive.py", "fmnist_demo_fusion.py"}
    left |= {"fmnist_demo_vit.py", "fmnist_vit_replay.py", "fmnist_vit_lora_replay.py"}
    files = {path.name for path in (ROOT / "config").glob("*.py")} - left
    little = {name for name in files if name.startswith(("demo", "fmnist", "clear_demo"))}
    assert {f"{name}.py" for name in names} >= little
    assert len(SCORES) + len(CLASSES) + len(OTHERS) < len(names)

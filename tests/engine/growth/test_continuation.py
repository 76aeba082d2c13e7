"""A run whose stream grows ends as one that had the whole stream from its start."""

from __future__ import annotations

import copy
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cliqa.engine import experiment
from cliqa.engine import run as run_of_engine
from cliqa.engine.run import Run
from cliqa.engine.work_dir.history import History
from cliqa.inference.evaluate import evaluate
from cliqa.training.plugins.isolation.packnet import CapacityError
from cliqa.utils.errors import CheckpointError, ConfigError, DatasetError

Config = dict[str, Any]
Work = Callable[..., dict[str, Any]]
OfSets = Callable[..., Config]
Equal = Callable[..., None]

LORA = {"type": "LoRA", "rank": 2}
METHODS: dict[str, dict[str, Any]] = {
    "Naive": {"type": "Naive"},
    "Cumulative": {"type": "Cumulative"},
    "DER": {"type": "DER", "mem_size": 10},
    "DER, rainbow": {"type": "DER", "mem_size": 10, "selection": "rainbow"},
    "AGEM": {"type": "AGEM", "mem_size": 10},
    "MIR": {"type": "MIR", "mem_size": 10},
    "GDumb": {"type": "GDumb", "mem_size": 10},
    "FeatureReplay": {"type": "FeatureReplay", "layer": "backbone.layer2", "mem_size": 10},
    "EWC": {"type": "EWC"},
    "SI": {"type": "SI"},
    "MAS": {"type": "MAS"},
    "L2": {"type": "L2"},
    "LwF": {"type": "LwF"},
    "LadderRehearsal": {"type": "LadderRehearsal", "probe": 4, "levels": 2, "threshold": 0.5},
    "PackNet": {"type": "PackNet", "prune": [0.67, 0.5, 0], "inference": "gate"},
    "LoRA per task": {**LORA, "mode": "per_task", "inference": "gate"},
    "LoRA sum": {**LORA, "mode": "sum", "first": "full"},
    "O-LoRA": {**LORA, "mode": "olora"},
    "MultiHead": {"type": "MultiHead"},
    "TaskSpecificParts": {"type": "TaskSpecificParts", "inference": "gate"},
    "EMA": {"plugins": [{"type": "EMA"}]},
    "ModelMerging": {"type": "ModelMerging", "method": "ties", "start": "base"},
    "ChannelPruning": {
        "train_epochs": 2,
        "plugins": [{"type": "ChannelPruning", "ratio": 0.3, "round_to": 1, "recover_epochs": 1}],
    },
    "QAT": {"plugins": [{"type": "QAT"}]},
    "LabelFreePretraining": {
        "plugins": [{"type": "LabelFreePretraining", "crop_size": 12, "epochs": 1}]
    },
    "two methods": {"plugins": [{"type": "SI"}, {"type": "Replay", "mem_size": 8}]},
    "Avalanche's": {"type": "avalanche.EWC", "ewc_lambda": 1.0},
    "keep_best": {"type": "Naive", "keep_best": True},
    "fresh optimizer": {"type": "EWC", "reset_optimizer": True},
}
SOME = ("DER", "EWC", "PackNet", "LoRA per task", "ModelMerging")
"""Those of the default suite: a memory, a penalty, masks, parts of an experience, old weights."""


def test_a_grown_run_is_that_over_the_whole_stream(
    two: Path, three: Path, of_sets: OfSets, work: Work, assert_equal_runs: Equal
) -> None:
    work(of_sets(3), two, extend=True)
    assert_equal_runs(three, two)
    assert "continued_from" in json.loads((two / "run.json").read_text())
    assert (two / "config.py").read_text() == (three / "config.py").read_text()


@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=[] if name in SOME else pytest.mark.exhaustive) for name in METHODS],
)
def test_so_it_is_with_every_method(
    method: str, tmp_path: Path, of_sets: OfSets, work: Work, assert_equal_runs: Equal
) -> None:
    own = METHODS[method]
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    work(of_sets(3, **own), whole)
    work(of_sets(2, **own), grown)
    work(of_sets(3, **own), grown, extend=True)
    assert_equal_runs(whole, grown)


@pytest.mark.parametrize(
    "method", ["DualPrompt", pytest.param("CODAPrompt", marks=pytest.mark.exhaustive)]
)
def test_so_it_is_with_prompts_until_there_is_no_room(
    method: str, tmp_path: Path, of_sets: OfSets, work: Work, assert_equal_runs: Equal
) -> None:
    arch = {"embed_dims": 32, "num_layers": 1, "num_heads": 2, "feedforward_channels": 32}
    vit = {"type": "VisionTransformer", "arch": arch, "img_size": 16, "patch_size": 4}
    blocks = {"DualPrompt": {"general_blocks": [0], "expert_blocks": [0]}}
    own = blocks.get(method, {"blocks": [0], "pool_size": 6})
    prompted = {"type": f"{method}Transformer", "backbone": vit, "experiences": 3, **own}

    def config(count: int, experiences: int = 3) -> Config:
        found = of_sets(count, type=method)
        found["model"] |= {"backbone": {**prompted, "experiences": experiences}, "neck": None}
        found["scenario"]["train_transform"] = found["scenario"]["eval_transform"]
        return found

    whole, grown = tmp_path / "whole", tmp_path / "grown"
    work(config(3), whole)
    work(config(2), grown)
    work(config(3), grown, extend=True)
    assert_equal_runs(whole, grown)
    with pytest.raises(ConfigError, match=f"{method}: the stream has 3 experiences, and the promp"):
        work(config(3, experiences=2), tmp_path / "new")
    assert not (tmp_path / "new" / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_so_it_is_with_a_teacher(
    tiny_run: Path, tmp_path: Path, of_sets: OfSets, work: Work, assert_equal_runs: Equal
) -> None:
    own = {"plugins": [{"type": "Distillation", "teacher": str(tiny_run)}]}
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    work(of_sets(3, **own), whole)
    work(of_sets(2, **own), grown)
    work(of_sets(3, **own), grown, extend=True)
    assert_equal_runs(whole, grown)


@pytest.mark.slow
def test_inflora_says_that_it_is_not(
    tmp_path: Path, of_sets: OfSets, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    own = {**LORA, "mode": "inflora"}
    work(of_sets(2, **own), tmp_path)
    with caplog.at_level(logging.WARNING):
        assert work(of_sets(3, **own), tmp_path, extend=True)["status"] == "finished"
    assert "LoRA: the share that it protects follows the stream's length, so the" in caplog.text


def test_packnet_without_a_plan_has_no_room(tmp_path: Path, of_sets: OfSets, work: Work) -> None:
    work(of_sets(1, type="PackNet", train_epochs=2), tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(CapacityError, match="the experiences learnt so far own all weights"):
        work(of_sets(2, type="PackNet", train_epochs=2), tmp_path, extend=True)
    assert json.loads(before)["matrix"]["srcc"][0][0] is not None


def test_a_new_folder_begins_with_all_that_the_other_run_has(
    two: Path, three: Path, tmp_path: Path, of_sets: OfSets, work: Work, assert_equal_runs: Equal
) -> None:
    before = sorted(path.name for path in two.rglob("*"))
    work(of_sets(3), tmp_path / "new", start_from=str(two))
    assert_equal_runs(three, tmp_path / "new")
    assert sorted(path.name for path in two.rglob("*")) == before
    assert len(json.loads((two / "results.json").read_text())["datasets"]) == 2
    with pytest.raises(ConfigError, match="is the run's own folder. To continue there, use --ext"):
        work(of_sets(3), two, start_from=str(two))
    with pytest.raises(CheckpointError, match=r"--start-from nowhere: no such checkpoint"):
        work(of_sets(3), two, start_from="nowhere")


def test_a_new_folder_shows_the_earlier_curves_and_has_the_best_checkpoint(
    tmp_path: Path, of_sets: OfSets, work: Work
) -> None:
    def config(epochs: int) -> Config:
        made = of_sets(2, type="Naive", train_epochs=epochs, scheduler=None)
        return {**made, "loggers": [{"type": "TensorboardLogger"}]}

    whole, new = tmp_path / "whole", tmp_path / "new"
    work(config(2), whole)
    best = whole / "checkpoints" / "best.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_of_engine, "is_best", lambda *_: False)  # the new epoch is none
        work(config(3), new, start_from=str(whole))
    assert (new / "checkpoints" / "best.pth").read_bytes() == best.read_bytes()
    curves = EventAccumulator(str(new / "tensorboard"))
    curves.Reload()
    rows = [json.loads(line) for line in (new / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["kind"] == "epoch"]
    shown = curves.Scalars("train/loss")
    assert [event.step for event in shown] == [1, 2, 3, 4, 5]
    assert [event.value for event in shown] == pytest.approx(losses)
    assert [event.step for event in curves.Scalars("test/srcc/a")] == [1, 2]


def test_a_run_that_stopped_goes_on(
    three: Path, tmp_path: Path, of_sets: OfSets, work: Work, assert_equal_runs: Equal
) -> None:
    stopped = work(of_sets(3), tmp_path, stop_after=1)
    assert stopped["status"] == "stopped"
    assert len(stopped["matrix"]["srcc"]) == 1
    work(of_sets(3), tmp_path, resume="auto", stop_after=2)
    work(of_sets(3), tmp_path, resume="auto")
    assert_equal_runs(three, tmp_path)


class Killed(BaseException):
    """Comes at once, as a kill does."""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (experiment, "evaluate_stream"),
        pytest.param(Run, "_write_results", marks=pytest.mark.slow),
        pytest.param(History, "rewrite", marks=pytest.mark.slow),
    ],
)
def test_a_killed_extension_is_finished_by_resume(
    owner: Any,
    name: str,
    two: Path,
    three: Path,
    of_sets: OfSets,
    work: Work,
    assert_equal_runs: Equal,
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, kill)
        with pytest.raises(Killed):
            work(of_sets(3), two, extend=True)
    work(of_sets(3), two, resume="auto")
    assert_equal_runs(three, two)


def test_a_run_that_was_killed_may_grow(
    tmp_path: Path, three: Path, of_sets: OfSets, work: Work, assert_equal_runs: Equal
) -> None:
    finish = Run.finish_step

    def kill(run: Run, strategy: Any, step: int, seconds: float, *, last: bool) -> None:
        if step:
            raise Killed
        finish(run, strategy, step, seconds, last=last)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "finish_step", kill)
        with pytest.raises(Killed):
            work(of_sets(2), tmp_path)
    work(of_sets(3), tmp_path, extend=True)
    assert_equal_runs(three, tmp_path)


def test_what_was_learnt_cannot_change(two: Path, of_sets: OfSets, work: Work) -> None:
    with pytest.raises(CheckpointError, match=r"differ: scenario.datasets\[2\]. They .*--extend"):
        work(of_sets(3), two, resume="auto")
    with pytest.raises(CheckpointError, match="cannot change; these keys differ: cl_strategy.m"):
        work(of_sets(3, mem_size=20), two, extend=True)
    with pytest.raises(CheckpointError, match=r"cannot change.* scenario.datasets\[1\]. A run"):
        work(of_sets(1), two, extend=True)
    turned = of_sets(3)
    turned["scenario"]["datasets"] = turned["scenario"]["datasets"][::-1]
    with pytest.raises(CheckpointError, match=r"these keys differ: scenario.datasets.0.name"):
        work(turned, two, extend=True)
    with pytest.raises(ConfigError, match=r"train_epochs and scenario.datasets\[2\]: raised and"):
        work(of_sets(3, train_epochs=3), two, extend=True)
    with pytest.raises(CheckpointError, match="--extend: .* holds no checkpoint of a run"):
        work(of_sets(3), two.parent / "none", extend=True)
    joint = two.parent / "joint"
    work(of_sets(1, type="JointTraining"), joint)
    with pytest.raises(ConfigError, match="'JointTraining': trains on all data at once"):
        work(of_sets(2, type="JointTraining"), joint, extend=True)


def test_nothing_to_add_is_said(
    two: Path, of_sets: OfSets, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    before = json.loads((two / "results.json").read_text())
    with caplog.at_level(logging.WARNING):
        assert work(of_sets(2), two, extend=True)["matrix"] == before["matrix"]
    assert "the config asks for nothing that" in caplog.text


@pytest.fixture
def own_data(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a copy of the data, to be changed."""
    shutil.copytree(tiny_data, tmp_path / "data")
    return tmp_path / "data"


def test_old_data_need_not_be_there(
    own_data: Path, tmp_path: Path, of_sets: OfSets, work: Work
) -> None:
    def config(count: int, **strategy: Any) -> Config:
        made = of_sets(count, **strategy)
        made["scenario"]["dataset_root"] = str(own_data)
        return made

    run, replay = tmp_path / "run", tmp_path / "replay"
    work(config(2, type="EWC"), run)
    work(config(2), replay)
    shutil.move(own_data / "a", own_data / "gone")
    with pytest.raises(DatasetError, match="a: no folder"):
        work(config(2, type="EWC"), run, resume="auto")
    grown = work(config(3, type="EWC"), run, extend=True)
    assert grown["datasets"] == ["a", "b", "c"]
    cells = [[cell is None for cell in row] for row in grown["matrix"]["srcc"]]
    assert cells == [[False] * 3, [False] * 3, [True, False, False]]
    notes = "\n".join(grown["warnings"])
    assert "a: not there any more, so it is not evaluated: a: no folder" in notes
    assert work(config(3, type="EWC"), run, resume="auto")["matrix"] == grown["matrix"]
    with pytest.raises(ConfigError, match="^a: not there any more, and Replay trains on samples"):
        work(config(3), replay, extend=True)
    shutil.move(own_data / "gone", own_data / "a")
    back = work(config(3, type="EWC"), run, resume="auto")
    assert all(cell is not None for row in back["matrix"]["srcc"] for cell in row)


def test_images_that_were_learnt_leave_later_test_data(
    two: Path, own_data: Path, of_sets: OfSets, work: Work
) -> None:
    state = torch.load(two / "checkpoints" / "last.pth", weights_only=True)
    rows = ["image,score,split"]
    for index in range(40):  # all of a's, whose training images the run knows
        shutil.copy(own_data / "a" / f"a{index:02d}.png", own_data / "c" / f"d{index:02d}.png")
        rows.append(f"d{index:02d}.png,{index / 40},test")
    rows += [f"c{index:02d}.png,{index / 40},{('train', 'val')[index % 2]}" for index in range(40)]
    (own_data / "c" / "scores.csv").write_text("\n".join(rows) + "\n")
    config = of_sets(3)
    config["scenario"]["dataset_root"] = str(own_data)
    grown = work(config, two, extend=True)
    known = state["data"]["sets"]["a"]
    assert grown["images"] == [12, 12, 40 - known["train"]["images"] - known["val"]["images"]]
    assert any(note.endswith("removed from c/test") for note in grown["warnings"])
    saved = torch.load(two / "checkpoints" / "last.pth", weights_only=True)
    assert saved["config"]["scenario"]["learnt_before"] == [2]
    assert work(config, two, resume="auto")["matrix"] == grown["matrix"]
    found = evaluate(config, config_file="tiny.py", checkpoint=two, device="cpu")["datasets"]
    measured = [data["metrics"]["srcc"] for data in found.values()]
    assert measured == pytest.approx(grown["matrix"]["srcc"][-1], abs=1e-9)


@pytest.mark.parametrize("protocol", ["streaming", pytest.param("iid", marks=pytest.mark.slow)])
def test_buckets_of_clear_are_added(
    protocol: str,
    features_config: Config,
    tmp_path: Path,
    work: Work,
    assert_equal_runs: Equal,
) -> None:
    features_config["scenario"] |= {"evaluation_protocol": protocol}
    if protocol == "streaming":
        del features_config["scenario"]["seed"]

    def config(last: int) -> Config:
        scenario = {**features_config["scenario"], "buckets": list(range(1, last + 1))}
        return {**features_config, "scenario": scenario, "loggers": [], "metrics": []}

    work(config(3), tmp_path / "whole")
    work(config(2), tmp_path / "grown")
    work(config(3), tmp_path / "grown", extend=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "grown")


def test_classes_are_added(
    split_config: Config, tmp_path: Path, work: Work, assert_equal_runs: Equal
) -> None:
    root = tmp_path / "data"
    random = np.random.default_rng(0)

    def add(*names: str) -> None:
        for name in names:
            (root / name).mkdir(parents=True)
            for k in range(6):
                pixels = random.integers(0, 255, (28, 28), np.uint8)
                Image.fromarray(pixels).convert("RGB").save(root / name / f"{k}.png")

    def config(experiences: int) -> Config:
        scenario = {**split_config["scenario"], "type": "SplitFolder", "dataset_root": str(root)}
        model = copy.deepcopy(split_config["model"])
        model["backbone"]["in_channels"] = 3
        scenario["n_experiences"] = experiences
        more = {"loggers": [], "metrics": [], "scenario": scenario, "model": model}
        return {**split_config, **more}

    add("a", "b", "c", "d")
    work(config(2), tmp_path / "grown")
    add("e", "f")
    work(config(3), tmp_path / "grown", extend=True)
    work(config(3), tmp_path / "whole")
    # the names of the classes that a prediction was made among: fewer, then
    assert_equal_runs(tmp_path / "whole", tmp_path / "grown", but="classes")
    with pytest.raises(CheckpointError, match=r"learnt 0\+1, 2\+3, 4\+5, and .* 0, 1, 2, 3, 4"):
        work(config(6), tmp_path / "grown", extend=True)
    add("aa", "bb")
    with pytest.raises(CheckpointError, match="learnt the classes a, b, c, d, e, f, which are now"):
        work(config(4), tmp_path / "grown", extend=True)

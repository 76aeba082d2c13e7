"""What is shared of a run: a model with exactly its scores, and nothing else."""

from __future__ import annotations

import ast
import copy
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import cliqa
from cliqa.engine.work_dir.checkpoints import find_checkpoint, open_teacher
from cliqa.hub.licences import Licence
from cliqa.hub.share import share
from cliqa.inference.image_model import open_model
from cliqa.models.weights.weights import load_weights
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import ArtifactError, CheckpointError, ConfigError
from tests.hub.endpoint import SmallHub

pytest.importorskip("safetensors")

Config = dict[str, Any]
Run = Callable[..., Path]
CPU = torch.device("cpu")
LICENCE = Licence("cc-by-4.0")

SMALL: Config = {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8], "norm": "BN"}
METHODS: dict[str, tuple[Config, Config]] = {
    "shared adapters": ({"type": "LoRA", "rank": 2}, {}),
    "adapters with a gate": (
        {"type": "LoRA", "rank": 2, "mode": "per_task", "norm": "train", "inference": "gate"},
        {},
    ),
    "parts with a gate": ({"type": "TaskSpecificParts", "inference": "gate"}, {}),
    "parts with a gate of centroids": (
        {"type": "TaskSpecificParts", "inference": "gate", "gate": "kmeans"},
        {},
    ),
    "pruned for each task": ({"type": "PackNet", "norm": "per_task", "inference": "gate"}, {}),
    "heads": ({"type": "MultiHead"}, {}),
    "ridge": (
        {"type": "StreamingRidge", "strength": 0.1},
        {"head": {"type": "RidgeHead", "in_channels": 8, "random_features": 10}},
    ),
    "joint": ({"type": "JointTraining", "plugins": [{"type": "EMA"}]}, {}),
    "pruned": (
        {
            "type": "Replay",
            "mem_size": 10,
            "train_epochs": 2,
            "plugins": [{"type": "ChannelPruning", "ratio": 0.3, "round_to": 1}],
        },
        {},
    ),
    "rounded": ({"type": "Naive", "plugins": [{"type": "QAT"}]}, {}),
    "levels": (
        {"type": "Naive", "loss": {"type": "EMDLoss", "levels": 4, "default_std": 0.1}},
        {"head": {"type": "LevelScoreHead", "in_channels": 8, "levels": 4}},
    ),
}
EVERY = [
    pytest.param(name, marks=[] if name in ("adapters with a gate", "heads") else [mark])
    for mark in [pytest.mark.exhaustive]
    for name in METHODS
]


def same_outputs(run: Path, folder: Path, channels: int = 3, size: int = 16) -> bool:
    """Return whether two models give the same bits for random images."""
    images = torch.rand(5, channels, size, size, generator=torch.Generator().manual_seed(0))
    ours, theirs = open_model(run, CPU), open_model(folder, CPU)
    assert theirs.path.name == "model.safetensors"
    assert (theirs.names, theirs.classes) == (ours.names, ours.classes)
    assert theirs.channels == ours.channels
    return torch.equal(ours(images), theirs(images))


def shared(run: Path, folder: Path, **options: Any) -> Path:
    """Return the folder of a run's shared model."""
    share(run, "me/tiny", LICENCE, folder=folder, export=False, **options)
    return folder


@pytest.mark.parametrize("method", EVERY)
def test_every_method_has_the_same_scores(
    method: str, tiny_config: Config, run_config: Run, tmp_path: Path
) -> None:
    strategy, model = METHODS[method]
    own = {k: v for k, v in tiny_config["cl_strategy"].items() if k != "mem_size"}
    tiny_config["model"] |= {
        "backbone": SMALL,
        "head": {"type": "LinearScoreHead", "in_channels": 8},
        **model,
    }
    tiny_config["cl_strategy"] = {**own, "train_epochs": 1, **strategy}
    if method == "ridge":
        tiny_config["cl_strategy"].pop("scheduler")
    run = run_config(tiny_config)
    assert same_outputs(run, shared(run, tmp_path / "s"))


def test_classes_are_shared_without_exemplars(
    split_config: Config, run_config: Run, tmp_path: Path
) -> None:
    split_config["cl_strategy"] |= {"type": "ICaRL", "mem_size": 20, "train_epochs": 1}
    run = run_config(split_config)
    folder = shared(run, tmp_path / "s")
    assert same_outputs(run, folder, channels=1, size=28)
    state = json.loads((folder / "config.json").read_text())["state"]
    (icarl,) = state["strategy"]["plugins"].values()
    assert "$tensor" not in json.dumps(icarl["teacher"])
    tensors = load_checkpoint(folder / "model.safetensors")
    assert tensors[icarl["index"]["$tensor"]].numel() == 0
    card = (folder / "README.md").read_text()
    assert "enlarged digits in the file format" not in card  # no generator: data in a folder
    assert "classifies images into 10 classes" in card


def test_texts_are_in_the_folder(split_config: Config, run_config: Run, tmp_path: Path) -> None:
    texts = tmp_path / "private-place" / "own.yaml"
    texts.parent.mkdir()
    texts.write_text("classes:\n" + "".join(f"  '{k}':\n    - a digit {k}\n" for k in range(10)))
    split_config["model"] = {
        "type": "ImageTextModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 1, "channels": [8, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
        **{"texts": "fashion_mnist", "in_channels": 8, "width": 16},
    }
    split_config["cl_strategy"] |= {"loss": {"type": "ContrastiveLoss"}, "train_epochs": 1}
    run = run_config(split_config)
    folder = shared(run, tmp_path / "s")
    assert same_outputs(run, folder, channels=1, size=28)
    everything = "".join(path.read_text() for path in folder.glob("*.[jm][sd]*"))
    assert "private-place" not in everything


def test_predictions_are_those_of_the_run(
    tiny_run: Path, shared_folder: Path, tiny_data: Path
) -> None:
    ours = cliqa.load(tiny_run, device="cpu").predict(tiny_data / "a")
    theirs = cliqa.load(shared_folder, device="cpu").predict(tiny_data / "a")
    assert ours.equals(theirs)
    scaled = cliqa.load(shared_folder, device="cpu").predict(tiny_data / "a", dataset="b")
    assert scaled["score"].between(0, 1).all()


def test_a_shared_model_starts_and_teaches_others(tiny_run: Path, shared_folder: Path) -> None:
    teacher = open_teacher(shared_folder)
    report = load_weights(teacher, shared_folder / "model.safetensors", log=False)
    assert not report.random
    assert not report.foreign


@pytest.fixture
def gated_run(tiny_config: Config, run_config: Run) -> Path:
    """Return a run whose network that predicts is more than its model."""
    tiny_config["model"] |= {
        "backbone": SMALL,
        "head": {"type": "LinearScoreHead", "in_channels": 8},
    }
    tiny_config["cl_strategy"].pop("mem_size")
    tiny_config["cl_strategy"] |= {
        **{"type": "TaskSpecificParts", "inference": "gate", "gate": "kmeans"},
        "train_epochs": 1,
    }
    return run_config(tiny_config)


def test_weights_of_a_gated_model_start_another(gated_run: Path, tmp_path: Path) -> None:
    folder = shared(gated_run, tmp_path / "s")
    assert same_outputs(gated_run, folder)
    model = open_teacher(gated_run)
    assert not load_weights(model, folder / "model.safetensors", log=False).foreign


def test_types_are_kept_and_shared_tensors_are_kept_once(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    state = load_checkpoint(run / "checkpoints" / "last.pth")
    weights = state["strategy"]["model"]
    first = next(name for name in weights if name.endswith("bn1.weight"))
    twin = first.replace("weight", "bias")
    weights[first] = weights[first].double()
    weights[twin] = weights[first]
    (run / "checkpoints" / "last.pth").unlink()
    save_checkpoint(run / "checkpoints" / "last.pth", state)
    folder = shared(run, tmp_path / "s")
    tensors = load_checkpoint(folder / "model.safetensors")
    assert tensors[first].dtype == torch.float64
    assert twin not in tensors
    assert same_outputs(run, folder)


def test_nothing_of_the_machine_is_told(
    tiny_config: Config, run_config: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_config["loggers"].append({"type": "CSVLogger", "file": "secret-project.csv"})
    tiny_config["cl_strategy"] |= {
        "train_epochs": 1,
        "plugins": [{"type": "LwF"}],
    }
    run = run_config(tiny_config)
    results = json.loads((run / "results.json").read_text())
    results["warnings"].append(f"after a on b: {tmp_path}/x.png: odd")
    (run / "results.json").write_text(json.dumps({**results, "config": "/home/me/x.py"}))
    folder = shared(run, tmp_path / "s")
    texts = {path.name: path.read_text() for path in folder.glob("*.[jm][sd]*")}
    assert set(texts) == {"README.md", "config.json", "results.json"}
    for name, text in texts.items():
        for word in (
            str(tmp_path),
            "/home/me",
            "secret-project",
            tiny_config["scenario"]["datasets"][0]["root"] + "/a",
            "loggers",
        ):
            assert word not in text, (name, word)
    assert json.loads(texts["config.json"])["state"]["config"]["scenario"][
        "dataset_root"
    ].startswith("(not in the file)/")
    monkeypatch.setenv("WANDB_API_KEY", "LinearScoreHead")
    with pytest.raises(ConfigError, match=r"README.md: would hold the value of WANDB_API_KEY, so"):
        shared(run, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_what_cannot_be_shared_says_why(
    tiny_run: Path, shared_folder: Path, features_config: Config, run_config: Run, tmp_path: Path
) -> None:
    features_config["cl_strategy"]["train_epochs"] = 1
    run = run_config(features_config)
    with pytest.raises(CheckpointError, match="trained on the features 'toy' and takes no images"):
        shared(run, tmp_path / "s")
    with pytest.raises(CheckpointError, match="shared already. Send it: hf upload me/tiny"):
        shared(shared_folder, tmp_path / "s")
    with pytest.raises(ConfigError, match="give the work_dir of a run"):
        shared(find_checkpoint(tiny_run), tmp_path / "s")
    with pytest.raises(ConfigError, match=r"--out .*already exists and is not empty"):
        shared(tiny_run, shared_folder)
    with pytest.raises(ConfigError, match="not the name of a repository"):
        share(tiny_run, "tiny", LICENCE, folder=tmp_path / "s")
    partly = tmp_path / "partly"
    shutil.copytree(tiny_run, partly)
    (partly / "results.json").unlink()
    with pytest.raises(ArtifactError, match=r"results\.json: missing"):
        shared(partly, tmp_path / "s")
    shutil.copy(tiny_run / "results.json", partly)
    shutil.copy(tiny_run / "checkpoints" / "exp_0.pth", partly / "checkpoints" / "last.pth")
    with pytest.raises(CheckpointError, match="results.json measures another model"):
        shared(partly, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_run_is_sent_and_loaded_by_its_name(
    tiny_run: Path, tiny_data: Path, small_hub: SmallHub
) -> None:
    sent = cliqa.push_to_hub(tiny_run, "me/tiny", license="mit", private=True, export=False)
    assert sent.url == f"{small_hub.url}/me/tiny"
    assert sent.commit == small_hub.repositories["me/tiny"].head
    assert small_hub.repositories["me/tiny"].private
    model = cliqa.load("hf://me/tiny", device="cpu")
    wanted = cliqa.load(tiny_run, device="cpu").predict(tiny_data / "a")
    assert model.predict(tiny_data / "a").equals(wanted)


def test_the_folder_says_what_to_do_next(tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my ü's"
    found = share(tiny_run, "me/tiny", LICENCE, folder=folder, export=False)
    lines = found.lines()
    (command,) = [line.removeprefix("send it: ") for line in lines if line.startswith("send it")]
    assert shlex.split(command) == ["hf", "upload", "me/tiny", str(folder), "."]
    (load,) = [line for line in lines if "cliqa.load" in line]
    assert ast.literal_eval(load.partition("cliqa.load(")[2].removesuffix("))")) == str(folder)
    assert "no model.onnx: it was not asked for." in lines
    assert set(found.files) == {"README.md", "config.json", "model.safetensors", "results.json"}
    head = (folder / "README.md").read_text().split("---\n")[1]
    assert yaml.safe_load(head)["license"] == "cc-by-4.0"
    assert copy.deepcopy(found) == found

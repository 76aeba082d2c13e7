"""What a checkpoint's config may ask for, tried as an attacker would."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.config.load import load_config
from cliqa.config.trust import trusting
from cliqa.engine.work_dir.checkpoints import load_run, model_of, open_teacher
from cliqa.engine.work_dir.saved_config import config_to_build
from cliqa.inference.evaluation_model import open_evaluation
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.image_model import open_model
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import CheckpointError, CliqaError, TrustError

CPU = torch.device("cpu")

Save = Callable[[dict[str, Any]], Path]
State = dict[str, Any]

IMPORTS = r"is not a component of cliqa: using it would import {}\. If you trust the file: --trust"
CANARY = IMPORTS.format("canary_of_hostile_files")
KNOWN = r"is not a component that a file may name"


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a file that an import of a module on the path, or a call of it, would write."""
    sung = tmp_path / "SUNG"
    source = (
        "from pathlib import Path\n"
        f"def sing(*_, **__):\n    Path({str(sung)!r}).touch()\n"
        "class Song:\n    def __init__(self, *_, **__): sing()\n"
        "sing()\n"
    )
    (tmp_path / "canary_of_hostile_files.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield sung
    sys.modules.pop("canary_of_hostile_files", None)


@pytest.fixture
def state(tiny_run: Path) -> State:
    """Return the content of the shared run's checkpoint."""
    return copy.deepcopy(load_checkpoint(tiny_run / "checkpoints" / "last.pth"))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that writes a checkpoint."""

    def write(state: State) -> Path:
        save_checkpoint(tmp_path / "run.pth", state)
        return tmp_path / "run.pth"

    return write


def put(owner: Any, keys: str, value: Any) -> None:
    """Set a value deep in a state: ``model.head.type``."""
    *way, last = keys.split(".")
    for key in way:
        owner = owner[int(key) if key.isdecimal() else key]
    owner[last] = value


deep: list[Any] = []
for _ in range(200):
    deep = [deep]
SONG = {"type": "canary_of_hostile_files.Song"}

HOSTILE: dict[str, tuple[str, Any, str]] = {
    "a dotted path": ("model.type", "subprocess.Popen", IMPORTS.format("subprocess")),
    "a module on the path": ("model.head", SONG, rf"model\.head\.type .* {CANARY}"),
    "a function": ("model.head.type", "canary_of_hostile_files.sing", CANARY),
    "a module alone": ("model.head.type", "canary_of_hostile_files", KNOWN),
    "our own prefix": (
        "model.type",
        "cliqa.utils.cli.run_entry_point",
        r"import cliqa\.utils\.cli",
    ),
    "our own prefix, short": ("model.type", "cliqa.subprocess", IMPORTS.format("cliqa")),
    "mmengine's scope": ("model.backbone.type", "mmengine.Runner", r"import mmengine\."),
    "another scope": ("model.backbone.type", "canary_of_hostile_files.ResNet", CANARY),
    "a nested type": ("model.backbone.norm_cfg", SONG, r"backbone\.norm_cfg\.type .* " + CANARY),
    "a type in a list": ("model.backbone.plugins", [{"cfg": SONG}], r"plugins\[0\]\.cfg\.type"),
    "a type that is a dict": ("model.head.type", {"type": "LinearScoreHead"}, "expected a name"),
    "a type that is none": ("model.head.type", None, "expected a name, got None"),
    "a key of mmengine's": (
        "model.backbone._scope_",
        "os",
        r"'_scope_' is not a valid key of a config",
    ),
    "a hub": (
        "model.backbone",
        {"type": "TIMMBackbone", "model_name": "hf-hub:evil/model"},
        r"model\.backbone\.model_name of .*run\.pth is an address, 'hf-hub:evil/model'",
    ),
    "a folder of timm's": (
        "model.backbone",
        {"type": "TIMMBackbone", "model_name": "local-dir:/tmp/x"},
        r"is an address, 'local-dir:/tmp/x': using it would download or read it",
    ),
    "an address": ("model.backbone.style", "https://example.org/x.pth", r"is an address"),
    "a wrapper that fetches": ("model.type", "HuggingFaceClassifier", KNOWN),
    "another, by its prefix": ("model.type", "mmpretrain.TimmClassifier", "TimmClassifier"),
    "a teacher of self-supervision": ("model.backbone.type", "CLIPGenerator", KNOWN),
    "a strategy of others": ("cl_strategy.type", "canary_of_hostile_files.Song", CANARY),
    "a strategy that nobody trained": ("cl_strategy.type", "AETraining", KNOWN),
    "a plugin": ("cl_strategy.plugins", [SONG], r"cl_strategy\.plugins\[0\]\.type .* " + CANARY),
    "a loss": ("cl_strategy.loss", SONG, r"cl_strategy\.loss\.type .* " + CANARY),
    "an optimizer": ("cl_strategy.optimizer", SONG, CANARY),
    "a schedule": ("cl_strategy.scheduler", SONG, CANARY),
    "a step": ("scenario.eval_transform", [SONG], r"eval_transform\[0\]\.type .* " + CANARY),
    "a step with a function": ("scenario.eval_transform", [{"type": "Lambda"}], r"'Lambda'"),
    "a step inside": (
        "scenario.eval_transform",
        [{"type": "Compose", "transforms": [SONG]}],
        r"eval_transform\[0\]\.transforms\[0\]\.type .* " + CANARY,
    ),
    "a data set": ("scenario.datasets.0.type", SONG["type"], r"datasets\[0\]\.type .* " + CANARY),
    "a generator": ("scenario.generate", SONG, r"scenario\.generate\.type .* " + CANARY),
    "a scenario": ("scenario.type", SONG["type"], r"scenario\.type .* " + CANARY),
    "an import": (
        "custom_imports",
        {"imports": ["canary_of_hostile_files"]},
        r"run\.pth: its run uses custom components \(custom_imports\): using it would import "
        r"canary_of_hostile_files\. If you trust the file: --trust",
    ),
    "an import in another form": ("custom_imports", "canary_of_hostile_files", "would import"),
    "a slip": ("model.head.type", "LinearScoreHed", r"Did you mean 'LinearScoreHead'\?"),
    "depth": ("model.backbone.plugins", deep, "is nested too deeply"),
    "many values": ("scenario.more", [0] * 200_000, "holds too many values"),
    "a huge integer": ("seed", 10**30, "a huge integer is not a valid value of a config"),
    "a tensor": (
        "model.head.in_channels",
        torch.zeros(2),
        "a Tensor is not a valid value of a config",
    ),
    "bytes": ("model.head.in_channels", b"x", "a bytes is not a valid value of a config"),
    "a number as a key": ("model", {(1, 2): 3}, "is not a valid key of a config"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_config_is_refused_and_nothing_happens(
    case: str, state: State, save: Save, canary: Path
) -> None:
    keys, value, message = HOSTILE[case]
    put(state["config"], keys, value)
    path = save(state)
    for use in (lambda: open_model(path, CPU), lambda: open_teacher(path)):
        with pytest.raises(CliqaError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value)
    with pytest.raises(CliqaError, match=message):
        open_evaluation(path, EvalRequest(), CPU)
    assert not canary.exists()
    assert "canary_of_hostile_files" not in sys.modules


@pytest.mark.parametrize("section", ["model", "pretrain"])
def test_so_is_that_of_a_pretraining(section: str, state: State, save: Save, canary: Path) -> None:
    config = {"model": state["config"]["model"], "pretrain": {"data": {}}}
    weights = {"anchors": torch.zeros(2, 3)}
    config[section]["loss"] = SONG
    path = save({"config": config, "pretraining": {"model": weights}})
    with pytest.raises(TrustError, match=rf"{section}\.loss\.type .* {CANARY}"):
        open_model(path, CPU)
    assert not canary.exists()
    del config["model"]
    for entries, message in (
        ({"config": config}, r"damaged: its config\.model is no dict but NoneType"),
        ({"config": SONG}, r"its config\.model is no dict"),
        ({"config": 3}, r"its config is no dict but int"),
    ):
        with pytest.raises(CheckpointError, match=message):
            open_model(save({**entries, "pretraining": {"model": weights}}), CPU)


WHERE_WEIGHTS_COME_FROM = {
    "init_cfg of the backbone": (
        "model.backbone.init_cfg",
        {"type": "Pretrained", "checkpoint": "http://127.0.0.1:9/x.pth"},
    ),
    "a list of them": (
        "model.backbone.init_cfg",
        [{"type": "Pretrained", "checkpoint": "http://127.0.0.1:9/x.pth"}, SONG],
    ),
    "init_cfg of the head": ("model.head.init_cfg", {"type": "Pretrained", "checkpoint": "/etc"}),
    "pretrained": ("model.pretrained", "/etc/passwd"),
    "load_from": ("load_from", "/etc/passwd"),
    "loggers": ("loggers", [{"type": "TextLogger", "file": "/etc/x"}, SONG]),
    "metrics": ("metrics", [SONG, {"type": "gpu_usage_metrics"}]),
}


@pytest.mark.parametrize("case", WHERE_WEIGHTS_COME_FROM)
def test_what_the_checkpoint_needs_not_is_never_followed(
    case: str, state: State, save: Save, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that started from a file still predicts and evaluates, without that file."""

    def reached(*_: object, **__: object) -> None:
        pytest.fail("something was fetched")

    names = ("urllib.request.urlopen", "socket.create_connection", "torch.hub.download_url_to_file")
    for name in names:
        monkeypatch.setattr(name, reached)
    put(state["config"], *WHERE_WEIGHTS_COME_FROM[case])
    if case == "init_cfg of the head":  # which takes none: the key is left out
        state["config"]["model"]["head"]["type"] = "LinearScoreHead"
    path = save(state)
    images = torch.rand(2, 3, 16, 16)
    model = model_of(load_run(path))
    torch.testing.assert_close(open_model(path, CPU)(images), model(images).detach())
    open_evaluation(path, EvalRequest(), CPU)
    assert not canary.exists()


def test_generated_data_are_not_written_for_a_file(
    state: State, save: Save, tmp_path: Path
) -> None:
    root = tmp_path / "somewhere" / "else"
    state["config"]["scenario"] |= {"dataset_root": str(root), "generate": {"type": "DemoData"}}
    path = save(state)
    open_model(path, CPU)  # needs no data
    with pytest.raises(
        TrustError, match=r"else: its data are not there, and .*run\.pth would have"
    ):
        open_evaluation(path, EvalRequest(), CPU)
    assert not root.parent.exists()


def test_nothing_is_downloaded_for_a_file(state: State, save: Save, tmp_path: Path) -> None:
    scenario = {"type": "SplitCIFAR10", "dataset_root": str(tmp_path / "c"), "download": True}
    steps = [{"type": "ToTensor"}]
    state["config"]["scenario"] = {**scenario, "train_transform": steps, "eval_transform": steps}
    state["config"]["cl_strategy"]["loss"] = {"type": "CrossEntropyLoss"}
    with pytest.raises(
        TrustError, match=r"CIFAR-10 is not there, and .*run\.pth would have it down"
    ):
        open_evaluation(save(state), EvalRequest(), CPU)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("names", "abc", r"run\.pth: damaged: its names is no list but str"),
        ("next_step", None, r"its next_step is no int but NoneType"),
        ("config", [], r"its config is no dict but list"),
        ("strategy", {"model": {}}, r"its strategy\.plugins is no dict but NoneType"),
        ("strategy", {"model": {}, "plugins": {}}, r"its weights are not those of the model that"),
        ("strategy", {"model": {1: 2}, "plugins": {}}, r"its weights are not those of the model"),
    ],
)
def test_entries_of_another_kind_are_told(
    key: str, value: Any, message: str, state: State, save: Save
) -> None:
    with pytest.raises(CliqaError, match=message) as caught:
        open_model(save({**state, key: value}), CPU)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "steps",
    [
        5,
        [{}],
        [{"kept": [], "tensors": {"head.weight": [[0, 7]]}, "attributes": {}}],
        [{"kept": [], "tensors": {}, "attributes": {"head": {"forward": [1, 2]}}}],
    ],
)
def test_a_hostile_record_of_a_pruning_is_refused(steps: Any, state: State, save: Save) -> None:
    state["strategy"]["pruning"] = steps
    with pytest.raises(CliqaError, match=r"prun"):
        open_model(save(state), CPU)


def test_with_trust_the_same_names_work(state: State, save: Save, canary: Path) -> None:
    put(state["config"], "model.head", SONG)
    path = save(state)
    with trusting(), pytest.raises(Exception):  # noqa: B017, PT011  a song is no head
        model_of(load_run(path))
    assert canary.exists()


def test_what_the_users_own_config_names_needs_no_trust(
    state: State, save: Save, tmp_path: Path
) -> None:
    name = "torch.nn.modules.loss.SmoothL1Loss"
    put(state["config"], "cl_strategy.loss", {"type": name})
    path = save(state)
    with pytest.raises(TrustError, match=r"would import torch\.nn\.modules\.loss\."):
        open_teacher(path)
    own = (
        "scenario = dict(type='QualityStream')\nmodel = dict(type='QualityModel')\n"
        f"cl_strategy = dict(type='Naive', loss=dict(type='{name}'))\n"
    )
    (tmp_path / "own.py").write_text(own)
    load_config(tmp_path / "own.py")
    assert not open_teacher(path).training


def test_loggers_of_a_file_are_kept_where_it_is_trusted(tiny_run: Path) -> None:
    state = load_run(tiny_run / "checkpoints" / "last.pth")
    assert {"loggers", "metrics"}.isdisjoint(config_to_build(state))
    with trusting():
        assert config_to_build(state)["loggers"] == state["config"]["loggers"]


def test_damage_of_the_strategys_state_is_told(state: State, save: Save) -> None:
    state["strategy"]["plugins"] = {key: {} for key in state["strategy"]["plugins"]}
    with pytest.raises(CheckpointError, match=r"damaged: its state is not that"):
        open_evaluation(save(state), EvalRequest(), CPU)

"""Fixtures that every room's tests share."""

from __future__ import annotations

import copy
import functools
import gc
import io
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin
from PIL import Image
from torch import Tensor, nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.clear.fewshot import get_fewshot_indices
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.demo_data.clear import ClearData
from cliqa.demo_data.fashion import FashionData
from cliqa.engine.train import train
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.studies.backends.commands import Command
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.supervised.naive import Naive
from cliqa.transforms.pipeline import build_pipeline
from tests.forks import Fork, read_mat_file

# A process whose first backward pass comes after an export by torch.onnx cannot train in a fork.
torch.ones(1, requires_grad=True).sum().backward()

# The libraries leave a million objects that live as long as the process. Looking through them again
# and again takes a third of the time in which the tests are found, and a part of every test's.
gc.disable()

Outputs = Callable[[Any, Any], dict[str, Tensor]]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_finish() -> None:
    """Look for garbage again, among what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep reports valid UTF-8: names that are none are tested too, and workers send reports."""
    report = yield
    report.sections = [(name, _utf8(text)) for name, text in report.sections]
    return report


def _utf8(text: str) -> str:
    """Return a text with escapes in place of what is no Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Keep torch to one thread: tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Let files reach the disk in their own time: no test outlives a loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what can be made again out of the user's own cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIQA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_table_of_operators() -> Iterator[None]:
    """Keep the exporter's table of operators, which takes half of a small network's export."""
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry  # noqa: PLC0415
    except ImportError:  # it is PyTorch's own, or onnxscript is missing
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        made_once = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
        patch.setattr(ONNXRegistry, "from_torchlib", made_once)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real sample data beside the project; skip where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"no sample data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the data sets a, b and c: 40 images of 16 px each and a scores.csv.

    The score is the brightness in a, the redness in b and the contrast in c.
    """
    root = tmp_path_factory.mktemp("tiny")
    for index, name in enumerate("abc"):
        random = np.random.default_rng(index)
        folder = root / name
        folder.mkdir()
        rows = ["image,score"]
        for k, score in enumerate(random.uniform(0.05, 0.95, 40)):
            image = random.normal(0.5, 0.05, (16, 16, 3))
            image[:, :, 0 : (3, 1, 0)[index]] += score - 0.5
            if name == "c":
                image = 0.5 + (image - 0.5) * (0.5 + 4 * score)
            pixels = (image.clip(0, 1) * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}{k:02d}.png")
            rows.append(f"{name}{k:02d}.png,{score:.4f}")
        (folder / "scores.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def short_data(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the first 20 images of each data set of `tiny_data`."""
    root = tmp_path_factory.mktemp("short")
    for name in "abc":
        (root / name).mkdir()
        head, *rows = (tiny_data / name / "scores.csv").read_text().split()
        for row in rows[:20]:
            image = row.partition(",")[0]
            shutil.copyfile(tiny_data / name / image, root / name / image)
        (root / name / "scores.csv").write_text("\n".join([head, *rows[:20]]) + "\n")
    return root


@pytest.fixture
def tiny_stream(tiny_data: Path) -> QualityStream:
    """Return the stream a -> b -> c over `tiny_data`, with a random crop in training."""
    return stream_over(tiny_data)


@pytest.fixture(scope="module")
def module_stream(tiny_data: Path) -> QualityStream:
    """Return `tiny_stream`, once for all tests of a module."""
    return stream_over(tiny_data)


@pytest.fixture
def short_stream(short_data: Path) -> QualityStream:
    """Return `tiny_stream` over half of its images, for tests that train again and again."""
    return stream_over(short_data)


def stream_over(root: Path) -> QualityStream:
    """Return a stream over the data sets a, b and c in a folder, with a random crop in training."""
    datasets = [
        ScoreFile(
            root=root / name,
            labels="scores.csv",
            name=name,
            score_range=(0, 1),
            higher_is_better=True,
            images=".",
        )
        for name in "abc"
    ]
    crop: list[dict[str, Any]] = [{"type": "RandomCrop", "size": 12}]
    crop.append({"type": "RandomHorizontalFlip"})
    tensor = [{"type": "ToTensor"}]
    return QualityStream(
        datasets, build_pipeline([*crop, *tensor], "train"), build_pipeline(tensor, "eval")
    )


class TinyModel(nn.Module):
    """A network with everything that makes a resume hard: batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        self.head = nn.Linear(8, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, 3, H, W)."""
        return self.head(self.body(images))[:, 0]


@pytest.fixture
def make_strategy() -> Callable[..., Any]:
    """Return a function that builds a strategy over a fresh, always equal `TinyModel`."""

    def make(
        plugins: Sequence[Any] = (),
        cls: type[Any] = Naive,
        epochs: int = 2,
        schedule: dict[str, Any] | None = None,
        criterion: nn.Module | None = None,
        on_epoch: Callable[[float], None] | None = None,
        **options: Any,
    ) -> Any:
        torch.manual_seed(0)
        model = TinyModel()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No loggers specified")
            evaluator = EvaluationPlugin(PredictionCollector(), loggers=[])
        strategy = cls(
            model=model,
            optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2),
            criterion=criterion or nn.L1Loss(),
            train_mb_size=8,
            eval_mb_size=16,
            train_epochs=epochs,
            plugins=list(plugins),
            evaluator=evaluator,
        )
        strategy.configure(TrainingOptions(**{"seed": 1, **options}), Schedule(schedule), on_epoch)
        return strategy

    return make


def same(first: Any, second: Any) -> bool:  # noqa: ANN401
    """Tell whether two nested states are equal to the bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


@pytest.fixture
def assert_same() -> Callable[[Any, Any], None]:
    """Return a function that asserts that two nested states are equal to the bit."""

    def check(first: Any, second: Any) -> None:
        assert same(first, second)

    return check


@pytest.fixture
def outputs() -> Outputs:
    """Return a function that gives what an evaluation says about every data set."""

    def evaluate(strategy: Any, stream: Any) -> dict[str, Tensor]:
        strategy.eval(stream.test_stream)
        found = strategy.evaluator.metrics[0].result()
        return {name: torch.as_tensor(prediction) for name, (prediction, _) in found.items()}

    return evaluate


@pytest.fixture
def assert_resumable(outputs: Outputs, assert_same: Callable[..., None]) -> Callable[..., None]:
    """Return a function that asserts that a stopped run ends as one that was not stopped.

    A run is stopped before it begins, after every epoch, and after every experience: where there
    are checkpoints. It goes on in a new object, whose process knows nothing of the old one's random
    numbers, and must come to the same state and the same outputs to the bit.
    """

    def run(strategy: Any, stream: Any, first: int, note: Callable[[int], None]) -> Any:
        steps = strategy.steps(stream.train_stream)
        for index in range(first, len(steps)):
            strategy.train_step(index, steps[index])
            said = outputs(strategy, stream)
            note(index + 1)
        return said

    def check(make: Callable[[], Any], stream: Any, every: int = 1) -> None:
        whole, saved = make(), []

        def note(step: int) -> None:
            saved.append((step, copy.deepcopy(whole.state_dict())))

        note(0)
        whole.on_epoch = lambda _: note(whole.step_index)
        said = run(whole, stream, 0, note)
        final = saved.pop()[1]
        assert len(saved) >= whole.train_epochs
        for step, state in saved[::every]:
            torch.manual_seed(99)
            np.random.seed(99)
            resumed = make()
            resumed.load_state_dict(state)
            assert_same(run(resumed, stream, step, lambda _: None), said)
            assert_same(resumed.state_dict(), final)

    return check


def config_over(tiny_data: Path) -> dict[str, Any]:
    """Return a config over `tiny_data` with replay, a schedule and batch normalisation."""
    labelled = {"type": "ScoreFile", "labels": "scores.csv", "images": "."}
    scale = {"score_range": (0, 1), "higher_is_better": True, "fractions": (0.6, 0.1, 0.3)}
    tensor: dict[str, Any] = {"type": "ToTensor"}
    return {
        "scenario": {
            "type": "QualityStream",
            "dataset_root": str(tiny_data),
            "datasets": [{**labelled, **scale, "root": name, "name": name} for name in "abc"],
            "train_transform": [{"type": "RandomCrop", "size": 12}, tensor],
            "eval_transform": [tensor],
        },
        "model": {
            "type": "QualityModel",
            "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearScoreHead", "in_channels": 32},
        },
        "cl_strategy": {
            "type": "Replay",
            "mem_size": 10,
            "train_mb_size": 8,
            "eval_mb_size": 16,
            "train_epochs": 2,
            "optimizer": {"type": "AdamW", "lr": 1e-3},
            "scheduler": {"type": "CosineAnnealingLR"},
            "loss": {"type": "L1Loss"},
        },
        "loggers": [{"type": "TextLogger"}, {"type": "CSVLogger"}],
        "metrics": [{"type": "quality_metrics"}],
        "evaluation": {"bootstrap": 50},
        "seed": 0,
    }


@pytest.fixture
def tiny_config(tiny_data: Path) -> dict[str, Any]:
    """Return a config of a test's own over `tiny_data`; see `config_over`."""
    return config_over(tiny_data)


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work_dir of a run of `tiny_config` with one epoch an experience: only read it.

    ``config.py`` in it is the config, and ``exp_0.pth`` to ``exp_2.pth`` are its checkpoints.
    """
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    config = config_over(tiny_data)
    config["cl_strategy"]["train_epochs"] = 1
    train(config, config_file="config/tiny.py", work_dir=folder, device="cpu")
    return folder


@pytest.fixture(scope="session")
def gated_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work_dir of a run of the data sets a and b with a gate: only read it."""
    folder = tmp_path_factory.mktemp("runs") / "gated"
    config = config_over(tiny_data)
    del config["scenario"]["datasets"][2], config["cl_strategy"]["mem_size"]
    config["cl_strategy"] |= {"type": "MultiHead", "inference": "gate", "train_epochs": 1}
    train(config, config_file="config/gated.py", work_dir=folder, device="cpu")
    return folder


@pytest.fixture(scope="session")
def clear_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a painted CLEAR tree of 3 classes, 3 buckets and 10 images of each; only read it.

    It has the 2-shot lists of seed 0, and features ``toy`` of 6 numbers: the first three tell the
    class with noise.
    """
    root = tmp_path_factory.mktemp("clear") / "tree"
    ClearData(classes=3, buckets=3, images=10, size=16).write(root)
    get_fewshot_indices(root, shot=2, seed=0)
    noise = torch.Generator().manual_seed(0)
    for path in sorted((root / "training_folder" / "filelists").iterdir()):
        lines = (path / "all.txt").read_text().splitlines()
        classes = torch.tensor([int(line.rpartition(" ")[2]) for line in lines])
        features = 0.4 * torch.randn(len(classes), 6, generator=noise)
        features[torch.arange(len(classes)), classes] += 1.0
        folder = root / "training_folder" / "features" / "toy" / path.name
        folder.mkdir(parents=True)
        torch.save((features, classes.tolist()), folder / "all.pth")
    return root


def class_config_over(scenario: dict[str, Any], classes: int, channels: int = 3) -> dict[str, Any]:
    """Return a config of a small classifier over images of one of the streams of classes."""
    tensor: dict[str, Any] = {"type": "ToTensor"}
    flip: dict[str, Any] = {"type": "RandomHorizontalFlip"}
    transforms = {"train_transform": [flip, tensor], "eval_transform": [tensor]}
    return {
        "scenario": {**scenario, **transforms},
        "model": {
            "type": "ImageClassifier",
            "backbone": {
                "type": "SmallConvNet",
                "in_channels": channels,
                "channels": [8, 8],
                "norm": "BN",
            },
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearClsHead", "num_classes": classes, "in_channels": 8},
        },
        "cl_strategy": {
            "type": "Replay",
            "mem_size": 9,
            "train_mb_size": 8,
            "eval_mb_size": 16,
            "train_epochs": 2,
            "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9},
            "scheduler": {"type": "StepLR", "step_size": 1, "gamma": 0.5},
            "loss": {"type": "CrossEntropyLoss"},
        },
        "loggers": [{"type": "CSVLogger"}],
        "metrics": [{"type": "accuracy_metrics", "experience": True, "stream": True}],
        "seed": 0,
    }


@pytest.fixture
def clear_config(clear_root: Path) -> dict[str, Any]:
    """Return a config of replay over `clear_root`, images, i.i.d."""
    scenario = {"type": "CLEAR", "dataset_root": str(clear_root)}
    return class_config_over({**scenario, "evaluation_protocol": "iid", "seed": 0}, classes=3)


@pytest.fixture
def features_config(clear_config: dict[str, Any]) -> dict[str, Any]:
    """Return a config of replay over `clear_root`'s features."""
    transforms = {"train_transform": None, "eval_transform": None}
    clear_config["scenario"] |= {"feature_type": "toy", **transforms}
    clear_config["model"] = {"type": "FeatureClassifier", "in_channels": 6, "num_classes": 3}
    return clear_config


@pytest.fixture(scope="session")
def fashion_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with digits in Fashion-MNIST's files: 120 for training, 60 for test."""
    root = tmp_path_factory.mktemp("fashion") / "data"
    FashionData(train=120, test=60).write(root)
    return root


@pytest.fixture
def split_config(fashion_root: Path) -> dict[str, Any]:
    """Return a config of replay over `fashion_root`, five experiences of two classes."""
    scenario = {"type": "SplitFashionMNIST", "dataset_root": str(fashion_root)}
    return class_config_over(scenario, classes=10, channels=1)


@pytest.fixture
def run_config(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that trains a config, without figures, and returns its work_dir."""

    def run(config: dict[str, Any], name: str = "run", **options: Any) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cliqa.engine.train.draw_run", lambda _: [])
            folder = tmp_path / name
            train(config, config_file="config/x.py", work_dir=folder, device="cpu", **options)
        return folder

    return run


@pytest.fixture(scope="module")
def quick_mat_files() -> Iterator[None]:
    """Let a module's MATLAB files be read in copies of this process, a tenth of a new one's time.

    For tests of what is done with their content; those of the reader start it as it is.
    """
    if not hasattr(os, "fork"):
        yield
        return
    import scipy.io  # noqa: F401, PLC0415  for the copies

    stand_in = SimpleNamespace(run=read_mat_file, TimeoutExpired=subprocess.TimeoutExpired)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cliqa.datasets.labels.mat_file.subprocess", stand_in)
        yield


@pytest.fixture(scope="module")
def quick_exports() -> Iterator[None]:
    """Let a module's exports be traced by PyTorch's older exporter, in a fraction of the time.

    For tests of what is done with exported files; those of exports themselves use the newer one.
    """
    onnx = pytest.importorskip("onnx")

    def trace(network: nn.Module, images: torch.Tensor, any_size: bool) -> Any:
        axes = {0: "batch", 2: "height", 3: "width"} if any_size else {0: "batch"}
        content = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (images,),
                content,  # type: ignore[arg-type]  # a buffer will do
                dynamo=False,
                input_names=["images"],
                output_names=["output"],
                dynamic_axes={"images": axes, "output": {0: "batch"}},
            )
        return onnx.load_from_string(content.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cliqa.deploy.onnx.export.trace", trace)
        yield


def start(command: Command, variables: Mapping[str, str]) -> Fork:
    """Start a study's command in a copy of this process, with its output in its log."""
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("wb") as log:
        return Fork(command.arguments[1:], log.fileno(), log.fileno(), variables=variables)


@pytest.fixture
def forked_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a study start its runs in copies of this process: five seconds less each."""
    if hasattr(os, "fork"):
        monkeypatch.setattr("cliqa.studies.backends.local._start", start)


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Return a folder with photographs a to d, some other files, and a photograph below it."""
    (tmp_path / "below").mkdir()
    for name in ("b.PNG", "a.jpg", "d.webp", "c.bmp", "._a.jpg", "below/e.jpg"):
        with (tmp_path / name).open("wb") as file:
            Image.new("RGB", (60, 40), (200, 100, 50)).save(file, "PNG")
    (tmp_path / "notes.txt").write_text("notes")
    return tmp_path

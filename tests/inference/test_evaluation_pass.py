"""Batches of one data set for several models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.datasets import base
from cliqa.inference import evaluation_pass
from cliqa.inference.eval_session import StrategySession
from cliqa.inference.evaluation_model import CheckpointEvaluation, open_evaluation
from cliqa.inference.evaluation_pass import SharedViews, evaluate_models, run_pass
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.execution.precision import Execution
from cliqa.training.loop.batching import RaggedImages
from cliqa.transforms.decode import read_image
from cliqa.transforms.protocol import EvaluationProtocol, Views, build_views, parse_protocol
from cliqa.utils.errors import DatasetError

PLAIN = EvaluationProtocol()


class Source:
    """Three grey images of 8 x 8 pixels and their levels."""

    keys = ("set/a.png", "set/b.png", "set/c.png")

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        level = 50 * index
        image = torch.full((3, 8 + 8 * (index == 2), 8), level, dtype=torch.uint8)
        return image, torch.tensor(level / 255)


SOURCE: Any = Source()


class Recorder:
    """A plugin that writes down what happens."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(("before_", "after_")):
            raise AttributeError(name)
        return lambda _: self.calls.append(name)


class Strategy:
    """As much of a strategy as an evaluation needs; it says each image's mean times a factor."""

    device = "cpu"

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.model = nn.Dropout()
        self.evaluator = Recorder()
        self.plugins = [Recorder(), self.evaluator]
        self.is_training = True
        self.mbatch: list[Any] = []
        self.mb_output = torch.zeros(0)

    def model_adaptation(self) -> nn.Module:
        return self.model

    def forward(self) -> Tensor:
        return torch.stack([self.factor * image.mean() for image in self.mbatch[0]])


def run_over(
    views: list[Views], strategies: list[Strategy], batch_size: int, kind: Any = StrategySession
) -> tuple[list[Any], Any]:
    """Run strategies over the source, each with its view."""
    data = SimpleNamespace(
        sources={"set": Source()}, experiences={"set": None}, task_labels={"set": None}
    )
    models: list[Any] = [
        SimpleNamespace(views=view, data=data, batch_size=batch_size, request=EvalRequest())
        for view in views
    ]
    return run_pass("set", models, [kind(strategy) for strategy in strategies])


def test_each_model_gets_its_view() -> None:
    tensor = [{"type": "ToTensor"}]
    views = [
        build_views(tensor, PLAIN, "x"),
        build_views(tensor, parse_protocol("grid:2x2", 4), "x"),
    ]
    found, targets = run_over([views[0], views[1], views[0]], [Strategy(k) for k in (1, 2, 3)], 2)
    expected = torch.tensor([0, 50, 100]) / 255
    assert torch.allclose(torch.as_tensor(targets), expected)
    for values, factor in zip(found, (1, 2, 3), strict=True):
        assert torch.allclose(torch.as_tensor(values), factor * expected)


def test_one_sample_for_all_views() -> None:
    views = [Views(torch.clone, PLAIN), build_views([], parse_protocol("random:3", 4), "x")]
    images, target = SharedViews(SOURCE, views)[2]
    assert [tuple(image.shape) for image in images] == [(3, 16, 8), (3, 3, 4, 4)]
    assert target == torch.tensor(100 / 255)


def test_images_of_many_sizes_stay_apart() -> None:
    shared = SharedViews(SOURCE, [Views(torch.clone, PLAIN)])
    samples = [shared[k] for k in range(3)]
    (images,), targets = shared.collate(samples)
    assert isinstance(images, RaggedImages)
    assert [len(image) for image in images] == [3, 3, 3]
    assert targets.shape == (3,)
    (images,), _ = shared.collate(samples[:2])
    assert images.shape == (2, 3, 8, 8)  # type: ignore[union-attr]


def test_plugins_take_part_and_metrics_do_not() -> None:
    strategy = Strategy(1)
    session = StrategySession(strategy)
    session.start(SimpleNamespace(current_experience=4))  # type: ignore[arg-type]
    assert (strategy.is_training, strategy.model.training) == (False, False)
    assert strategy.experience.current_experience == 4  # type: ignore[attr-defined]
    session.outputs(torch.zeros(2, 3, 4, 4), torch.zeros(2), task=1)
    assert strategy.mbatch[2].tolist() == [1, 1]
    session.outputs(torch.zeros(1, 3, 4, 4), torch.zeros(1), task=None)
    assert len(strategy.mbatch) == 2
    session.end()
    batch = ["before_eval_iteration", "before_eval_forward", "after_eval_forward"]
    expected = ["before_eval", "before_eval_exp", *batch, *batch, "after_eval"]
    assert strategy.plugins[0].calls == expected
    assert strategy.evaluator.calls == []


def test_an_image_that_cannot_be_shown_is_named() -> None:
    views = build_views([{"type": "CenterCrop", "size": 12}], PLAIN, "scenario.eval_transform")
    with pytest.raises(DatasetError, match=r"^set/a\.png: scenario\.eval_transform\[0\]"):
        SharedViews(SOURCE, [views])[0]


def test_threads_and_processes_read_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_pass, "default_threads", lambda _: 3)
    views = [build_views(steps, PLAIN, "x") for steps in ([], [{"type": "CenterCrop", "size": 8}])]
    found = [
        list(evaluation_pass._batches(SharedViews(SOURCE, views), 2, workers, False))
        for workers in (None, 0)
    ]
    assert [len(target) for _, target in found[0]] == [2, 1]
    for (images, target), (others, wanted) in zip(*found, strict=True):
        assert torch.equal(target, wanted)
        for one, other in zip(images, others, strict=True):
            assert all(map(torch.equal, one, other))


class Cramped(StrategySession):
    """Has memory for two images at a time."""

    def outputs(self, images: Any, targets: Tensor, task: int | None) -> Tensor:
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().outputs(images, targets, task)


def test_what_memory_does_not_hold_is_shown_in_pieces(caplog: pytest.LogCaptureFixture) -> None:
    found, views = [], build_views([{"type": "ToTensor"}], PLAIN, "x")
    for kind in (StrategySession, Cramped):
        (outputs,), targets = run_over([views], [Strategy(2.0)], 3, kind)
        found.append((outputs.tolist(), targets.tolist()))
    assert found[0] == found[1]
    (warning,) = [r.getMessage() for r in caplog.records]
    assert warning == "out of memory with batches of 3: continuing with at most 1"


CPU = torch.device("cpu")


def open_run(path: Path, **options: Any) -> CheckpointEvaluation:
    model = open_evaluation(path, EvalRequest(**options), CPU)
    assert isinstance(model, CheckpointEvaluation)
    return model


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often each file has been decoded."""
    counts: Counter[str] = Counter()

    def read(path: str, **options: Any) -> Tensor:
        counts[path] += 1
        return read_image(path, **options)

    monkeypatch.setattr(base, "read_image", read)
    return counts


def test_an_image_is_decoded_once_for_all_models_and_crops(
    tiny_run: Path, decoded: Counter[str]
) -> None:
    paths = [tiny_run / "checkpoints" / name for name in ("exp_0.pth", "exp_1.pth", "last.pth")]
    candidates = [open_run(path, protocol=parse_protocol("grid:2x2", 12)) for path in paths]
    candidates[2].views = open_run(paths[2], protocol=parse_protocol("random:4", 8)).views
    results = evaluate_models(candidates)
    assert set(decoded.values()) == {1}
    assert len(decoded) == 36
    for path, together in zip(paths[:2], results, strict=False):
        (alone,) = evaluate_models([open_run(path, protocol=parse_protocol("grid:2x2", 12))])
        assert together["datasets"] == alone["datasets"]


def test_a_score_is_the_mean_over_crops(tiny_run: Path, tiny_data: Path) -> None:
    path = tiny_run / "checkpoints" / "last.pth"
    candidate = open_run(path, protocol=parse_protocol("grid:2x3", 12), data_sets=["b"])
    (results,) = evaluate_models([candidate])
    model = candidate.strategy.model
    assert candidate.batch_size == 2  # 16 images of the run hold 12 crops
    for row in results["datasets"]["b"]["predictions"][:4]:
        image = read_image(tiny_data / "b" / row["image"]).float() / 255
        with torch.no_grad():
            scores = [
                float(model(image[None, :, top : top + 12, left : left + 12])[0])
                for top in (0, 4)
                for left in (0, 2, 4)
            ]
        assert row["prediction"] == pytest.approx(sum(scores) / 6, abs=1e-6)


@pytest.mark.parametrize("inference", ["oracle", "gate"])
def test_each_data_set_is_seen_by_the_view_of_its_place_in_the_stream(
    tiny_config: dict[str, Any], run_config: Callable[..., Path], inference: str
) -> None:
    tiny_config["cl_strategy"].pop("mem_size")
    parts = {"type": "TaskSpecificParts", "parts": ["norm", "head"], "inference": inference}
    tiny_config["cl_strategy"] |= {**parts, "train_epochs": 1}
    folder = run_config(tiny_config)
    matrix = json.loads((folder / "results.json").read_text())["matrix"]["plcc"]
    last = folder / "checkpoints" / "last.pth"
    for names in (["b"], ["c", "a"], []):
        (found,) = evaluate_models([open_run(last, data_sets=names)])
        for name, data in found["datasets"].items():
            assert data["metrics"]["plcc"] == matrix[-1]["abc".index(name)]


@pytest.mark.parametrize("workers", [None, 2])
def test_another_precision_is_compared_and_recorded(
    tiny_run: Path, caplog: pytest.LogCaptureFixture, workers: int | None
) -> None:
    last = tiny_run / "checkpoints" / "last.pth"
    how = {"data_sets": ["b"], "protocol": parse_protocol("grid:2x2", 12), "num_workers": workers}
    (plain,) = evaluate_models([open_run(last, **how)])
    with caplog.at_level("INFO"):
        (found,) = evaluate_models([open_run(last, **how, execution=Execution("bfloat16"))])
    (exact,) = evaluate_models([open_run(last, **how, execution=Execution())])
    told = [line for line in caplog.messages if "against float32" in line]
    assert [line.split(":")[0] for line in told] == [
        "bfloat16 against float32 on the first 12 images"
    ]
    assert found["protocol"]["precision"] == "bfloat16"
    assert "precision" not in plain["protocol"]
    values = [
        [row["prediction"] for row in each["datasets"]["b"]["predictions"]]
        for each in (plain, found, exact)
    ]
    assert values[1] == pytest.approx(values[0], abs=2e-2)
    assert values[1] != values[0]
    assert values[2] == pytest.approx(values[0], abs=1e-6)


def test_models_of_other_data_share_nothing(
    tiny_run: Path, tiny_data: Path, decoded: Counter[str]
) -> None:
    last = tiny_run / "checkpoints" / "last.pth"
    one, two = open_run(last, data_sets=["a"]), open_run(last, data_sets=["a"], split="train")
    first, second = evaluate_models([one, two])
    assert first["datasets"]["a"]["metrics"]["n"] == 12
    assert second["datasets"]["a"]["metrics"]["n"] == 24
    assert len(decoded) == 36
    assert first["protocol"]["split"] == "test"

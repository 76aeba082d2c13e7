"""A ridge regression over a stream is the one over all its data; nothing is forgotten."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, with_classes_timeline
from avalanche.training.plugins import EvaluationPlugin
from torch import Tensor

from cliqa.compress.export import export_checkpoint
from cliqa.engine.build import build
from cliqa.inference.image_model import open_model
from cliqa.models.build import build_model
from cliqa.training.supervised.ridge_solution import solve
from cliqa.training.supervised.streaming_ridge import StreamingRidge
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.memory import tensor_bytes

Config = dict[str, Any]
Run = Callable[..., Path]

CPU = torch.device("cpu")


def as_ridge(config: Config, **options: object) -> Config:
    """Return a config with the strategy in place of replay."""
    section = config["cl_strategy"]
    section.pop("mem_size"), section.pop("scheduler")
    section |= {"type": "StreamingRidge", "train_epochs": 1, "strength": 0.1, **options}
    return config


@pytest.fixture
def scores(tiny_config: Config) -> Config:
    """Return a config over images with scores: two levels, mean and deviation, random features."""
    tiny_config["model"] = {
        "type": "QualityModel",
        "backbone": {
            "type": "ResNet",
            "depth": 18,
            "base_channels": 4,
            "stem_channels": 4,
            "out_indices": [0, 1],
        },
        "neck": {"type": "MapStatistics", "statistics": ["mean", "std"]},
        "head": {"type": "RidgeHead", "in_channels": 24, "random_features": 10},
    }
    return as_ridge(tiny_config)


@pytest.fixture
def features(features_config: Config) -> Config:
    """Return a config over precomputed features with classes."""
    head = {"type": "RidgeHead", "num_classes": 3, "in_channels": 6, "random_features": 10}
    features_config["model"]["head"] = head
    return as_ridge(features_config)


def trained(config: Config, order: list[int] | None = None) -> Any:
    """Return a config's parts after training, its experiences in another order if wanted."""
    parts: Any = build(config, CPU)
    steps = parts.strategy.steps(parts.benchmark.train_stream)
    for index, place in enumerate(order or range(len(steps))):
        parts.strategy.train_step(index, steps[place])
    return parts


def lifted(parts: Any) -> tuple[Tensor, Tensor]:
    """Return z (N, p) and targets (N,) of all training samples."""
    z, y = [], []
    model: Any = parts.model.eval()
    for experience in parts.benchmark.train_stream:
        for sample in experience.dataset.eval():
            with torch.no_grad():
                own = model.extract_feat if hasattr(model, "extract_feat") else model.features
                z.append(model.head.lift(own(sample[0][None])))
            y.append(sample[1])
    return torch.cat(z).double(), torch.as_tensor(y)


@pytest.mark.parametrize("kind", ["scores", "features"])
def test_it_ends_in_the_ridge_regression_over_all_samples(
    kind: str, request: pytest.FixtureRequest
) -> None:
    parts = trained(request.getfixturevalue(kind))
    z, targets = lifted(parts)
    if kind == "features":
        y = torch.nn.functional.one_hot(targets, 3).double()
    else:
        y = targets[:, None].double()
    inputs = (z - z.mean(0)) / z.std(0, unbiased=False).clamp(min=1e-9)
    inputs[:, z.std(0) < 1e-6] = 0
    penalty = (0.1 * len(z)) ** 0.5 * torch.eye(z.shape[1]).double()
    left = torch.cat([inputs, penalty]).numpy()
    right = torch.cat([y - y.mean(0), torch.zeros(z.shape[1], y.shape[1])]).numpy()
    expected = inputs @ torch.from_numpy(np.linalg.lstsq(left, right, rcond=None)[0]) + y.mean(0)
    found = solve(parts.strategy.sums, 0.1).predict(z)
    assert torch.allclose(found, expected, atol=1e-8)
    said = parts.model.head.read(z.float()).detach().double()
    scale = 10.0 if kind == "features" else 1.0
    assert torch.allclose(said.reshape(expected.shape) / scale, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["scores", "features"])
def test_any_order_and_any_batches_give_the_same_solution(
    kind: str, request: pytest.FixtureRequest
) -> None:
    config = request.getfixturevalue(kind)
    found = []
    for order, size in ((None, 16), ([2, 0, 1], 5)):
        config["cl_strategy"]["eval_mb_size"] = size
        found.append(solve(trained(config, order).strategy.sums, 0.1))
    assert torch.allclose(found[0].weight, found[1].weight, rtol=0, atol=2e-6)  # float32 features
    if kind == "features":
        assert torch.allclose(found[0].weight, found[1].weight, rtol=0, atol=1e-8)


def test_first_statistics_depend_on_the_first_set_and_not_on_the_later_order(
    features: Config,
) -> None:
    features["cl_strategy"]["standardize"] = "first"
    found = [solve(trained(features, order).strategy.sums, 0.1) for order in ([0, 1, 2], [0, 2, 1])]
    assert torch.allclose(found[0].weight, found[1].weight, rtol=0, atol=1e-8)
    other = solve(trained(features, [1, 0, 2]).strategy.sums, 0.1)
    assert not torch.allclose(found[0].weight, other.weight, atol=1e-4)


def test_equal_weights_of_the_sets_ignore_how_many_samples_they_have(features: Config) -> None:
    features["cl_strategy"]["weighting"] = "sets"
    parts = trained(features)
    assert [float(one.weight) for one in parts.strategy.sums.ordered()] == pytest.approx([1.0] * 3)


def test_the_state_holds_no_samples_and_keeps_its_size(scores: Config) -> None:
    sizes = []
    for share in (0.3, 0.6):
        for section in scores["scenario"]["datasets"]:
            section["fractions"] = (share, 0.1, 0.9 - share)
        sizes.append(tensor_bytes(trained(scores).strategy.state_dict()["ridge"]))
    p = 34
    assert sizes == [8 * (p * (p + 1) // 2 + 3 * (1 + 1 + p + 1 + 1 + p))] * 2


def test_images_are_seen_as_in_an_evaluation_and_the_network_stays(scores: Config) -> None:
    parts: Any = build(scores, CPU)
    before = copy.deepcopy(parts.model.backbone.state_dict())
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)):
        parts.strategy.train_step(index, step)
    after = parts.model.backbone.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    scores["scenario"]["train_transform"][0]["size"] = 8
    other = trained(scores)
    assert torch.equal(other.model.head.weight, parts.model.head.weight)


@pytest.mark.parametrize("keep_sets", [False, True])
def test_a_stopped_run_ends_with_the_same_bits(
    features: Config, run_config: Run, assert_same: Callable[..., None], keep_sets: bool
) -> None:
    features["cl_strategy"]["keep_sets"] = keep_sets
    whole = torch.load(run_config(features, "whole") / "checkpoints/last.pth", weights_only=True)
    run_config(features, "part", stop_after=1)
    folder = run_config(features, "part", resume="auto")
    resumed = torch.load(folder / "checkpoints/last.pth", weights_only=True)
    for key in ("model", "ridge"):
        assert_same(resumed["strategy"][key], whole["strategy"][key])
    assert len(whole["strategy"]["ridge"]["sums"]["products"]) == (3 if keep_sets else 1)


def test_every_state_resumes(scores: Config, assert_same: Callable[..., None]) -> None:
    scores["cl_strategy"] |= {"first_session": 1, "strength": "gcv", "standardize": "first"}
    whole = build(scores, CPU)
    steps = whole.strategy.steps(whole.benchmark.train_stream)
    saved: list[tuple[int, Any]] = []

    def note(_: float) -> None:
        saved.append((whole.strategy.step_index, copy.deepcopy(whole.strategy.state_dict())))

    whole.strategy.on_epoch = note
    for index, step in enumerate(steps):
        whole.strategy.train_step(index, step)
    final = whole.strategy.state_dict()
    assert len(saved) == 3 + 1 + 1
    for start, state in saved:
        torch.manual_seed(9)
        resumed = build(scores, CPU)
        resumed.strategy.load_state_dict(state)
        for index in range(start, len(steps)):
            resumed.strategy.train_step(index, steps[index])
        assert_same(resumed.strategy.state_dict(), final)


def test_a_first_session_trains_the_network_on_the_first_set_alone(scores: Config) -> None:
    scores["cl_strategy"]["first_session"] = 2
    parts: Any = build(scores, CPU)
    steps = parts.strategy.steps(parts.benchmark.train_stream)
    before = copy.deepcopy(parts.model.backbone.state_dict())
    parts.strategy.train_step(0, steps[0])
    first = copy.deepcopy(parts.model.backbone.state_dict())
    parts.strategy.train_step(1, steps[1])
    last = parts.model.backbone.state_dict()
    moved = [key for key in before if not torch.equal(before[key], first[key])]
    assert any("conv1.weight" in key for key in moved)
    assert all(torch.equal(first[key], last[key]) for key in first)
    assert float(parts.strategy.sums.sets["a"].count) == 24  # the sums of the trained network


def test_a_first_session_may_train_adapters_alone(scores: Config) -> None:
    scores["cl_strategy"] |= {"first_session": 1, "plugins": [{"type": "LoRA", "rank": 2}]}
    parts: Any = build(scores, CPU)
    steps = parts.strategy.steps(parts.benchmark.train_stream)
    before = copy.deepcopy(parts.model.state_dict())
    parts.strategy.train_step(0, steps[0])
    first = copy.deepcopy(parts.model.state_dict())
    parts.strategy.train_step(1, steps[1])
    last = parts.model.state_dict()
    moved = {key for key in before if not torch.equal(before[key], first[key])}
    trained_ones = {key for key in moved if "head" not in key}
    assert trained_ones
    assert all("lora" in key for key in trained_ones)
    assert all(torch.equal(first[key], last[key]) for key in first if "head" not in key)


def test_a_longer_stream_is_the_whole_stream(
    scores: Config, run_config: Run, assert_same: Callable[..., None]
) -> None:
    whole = run_config(copy.deepcopy(scores), "whole") / "checkpoints/last.pth"
    short = copy.deepcopy(scores)
    short["scenario"]["datasets"] = short["scenario"]["datasets"][:2]
    run_config(short, "grown")
    grown = run_config(scores, "grown", extend=True) / "checkpoints/last.pth"
    one, two = (torch.load(path, weights_only=True)["strategy"] for path in (whole, grown))
    assert_same(one["ridge"], two["ridge"])
    assert_same(one["model"], two["model"])


def test_a_forgotten_set_has_never_been_seen(features: Config) -> None:
    features["cl_strategy"]["keep_sets"] = True
    parts = trained(features)
    names = [experience.name for experience in parts.benchmark.train_stream]
    parts.strategy.forget(names[1])
    never = trained(features, [0, 2])
    assert torch.equal(parts.model.head.weight, never.model.head.weight)
    assert torch.equal(parts.model.head.bias, never.model.head.bias)


def test_what_cannot_be_forgotten_is_refused(features: Config) -> None:
    parts = trained(features)
    name = parts.benchmark.train_stream[0].name
    with pytest.raises(ModelError, match=r"were not kept by themselves"):
        parts.strategy.forget(name)
    features["cl_strategy"] |= {"keep_sets": True, "standardize": "first"}
    with pytest.raises(ModelError, match=r"standardize='first': .* so it cannot be removed"):
        trained(features).strategy.forget(name)


def test_class_incremental_and_task_incremental_accuracy(
    split_config: Config, run_config: Run
) -> None:
    head = {"type": "RidgeHead", "num_classes": 10, "in_channels": 392, "random_features": 200}
    backbone = {"type": "SmallConvNet", "in_channels": 1, "channels": [4, 8], "flatten": True}
    split_config["model"] = {"type": "ImageClassifier", "backbone": backbone, "head": head}
    folder = run_config(as_ridge(split_config, strength="gcv"))
    results = json.loads((folder / "results.json").read_text())
    assert results["summary"]["average_accuracy"] > 0.8  # .1 is chance
    assert results["summary"]["average_accuracy_task_il"] > 0.9
    first = torch.load(folder / "checkpoints/exp_0.pth", weights_only=True)["strategy"]["model"]
    assert first["head.seen"].tolist() == [True] * 2 + [False] * 8


def test_validation_data_choose_the_strength(features: Config, scores: Config) -> None:
    scores["cl_strategy"]["strength"] = "validation"
    parts: Any = build(scores, CPU)
    validation = parts.benchmark.streams["val"]
    steps = parts.strategy.steps(parts.benchmark.train_stream)
    for index, step in enumerate(steps):
        parts.strategy.train_step(index, step, [validation[index]])
    assert [float(one.count) for one in parts.strategy.held.ordered()] == [4.0] * 3
    expected = solve(parts.strategy.sums, "validation", None, parts.strategy.held)
    assert parts.strategy.strength_used == expected.strength
    features["cl_strategy"]["strength"] = "validation"
    with pytest.raises(ConfigError, match=r"strength='validation': \S+ has no validation data"):
        trained(features)


def test_a_script_without_an_optimizer_finds_the_same_solution(
    features: Config, assert_same: Callable[..., None]
) -> None:
    parts = trained(features)
    data = [experience.dataset for experience in parts.benchmark.train_stream]
    stream = with_classes_timeline(benchmark_from_datasets(train=data)).train_stream
    torch.manual_seed(0)
    model: Any = build_model(features["model"])
    model.head.projection.copy_(parts.model.head.projection)
    script = StreamingRidge(
        model=model,
        strength=0.1,
        eval_mb_size=features["cl_strategy"]["eval_mb_size"],
        evaluator=EvaluationPlugin(loggers=[]),
    )
    script.train(stream)
    assert_same(script.model.state_dict(), parts.model.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_epochs": 3}, r"train_epochs=3: StreamingRidge uses every sample once"),
        ({"strength": "best"}, r"strength must be one of 'gcv', 'validation', got 'best'"),
        ({"strength": 0.0}, r"strength must be above 0, got 0.0"),
        ({"standardize": "all"}, r"standardize must be one of 'image', 'first'"),
        ({"weighting": "x"}, r"weighting must be one of 'samples', 'sets'"),
        ({"align": "x"}, r"align must be one of None, 'offset', 'affine'"),
        ({"align": "offset"}, r"align='offset': aligns scales of scores"),
        ({"first_session": -1}, r"first_session must be an integer >= 0"),
        ({"keep_best": True}, r"keep_best: StreamingRidge takes the sums in the last epoch"),
    ],
)
def test_wrong_arguments_are_refused(features: Config, change: Config, message: str) -> None:
    features["cl_strategy"] |= change
    with pytest.raises(ConfigError, match=message):
        build(features, CPU)


def test_a_model_without_the_head_is_refused(features: Config) -> None:
    features["model"].pop("head")
    with pytest.raises(ConfigError, match=r"the model needs one RidgeHead"):
        build(features, CPU)


@pytest.mark.usefixtures("quick_exports")
def test_the_exported_file_holds_the_whole_model(scores: Config, run_config: Run) -> None:
    scores["cl_strategy"]["standardize"] = "first"
    folder = run_config(scores)
    export_checkpoint(folder, size=(16, 16))
    images = torch.rand(5, 3, 16, 16)
    file, checkpoint = (open_model(path, CPU) for path in (folder / "model.onnx", folder))
    assert torch.allclose(file(images), checkpoint(images), atol=1e-5)
    assert checkpoint(images).std() > 1e-3

"""Avalanche's benchmarks by name or dotted path: what becomes of them, and what is refused."""

from __future__ import annotations

import copy
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks import (
    CLScenario,
    benchmark_from_datasets,
    benchmark_with_validation_stream,
    nc_benchmark,
    split_continuous_linear_decay_stream,
    split_online_stream,
)
from avalanche.benchmarks.utils import (
    AvalancheDataset,
    DataAttribute,
    as_classification_dataset,
)
from torch.utils.data import TensorDataset

from cliqa.benchmarks.split_classes import SplitFashionMNIST
from cliqa.benchmarks.upstream.stream import AvalancheStream
from cliqa.engine.build import build
from cliqa.engine.streams import build_benchmark
from cliqa.inference.image_model import open_model
from cliqa.registry import SCENARIOS
from cliqa.utils.errors import CheckpointError, CliqaError

Config = dict[str, Any]
CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Shapes(TensorDataset):
    """Noisy images of six classes."""

    def __init__(self, count: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self.targets = [k % 6 for k in range(count)]
        means = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(9))
        images = means[self.targets] + 0.2 * torch.rand(count, 1, 8, 8, generator=random)
        super().__init__(images, torch.tensor(self.targets))


def classes(**options: Any) -> CLScenario:
    """Return three experiences of two classes."""
    return nc_benchmark(
        Shapes(48, 0), Shapes(24, 1), 3, options.pop("task_labels", False), **options
    )


def scored(**_: Any) -> CLScenario:
    data = TensorDataset(torch.rand(8, 4), torch.rand(8))
    made = AvalancheDataset([data], data_attributes=[DataAttribute([0.5] * 8, "targets")])
    return benchmark_from_datasets(train=[made], test=[made])


def one_test_for_all(shuffled: bool = False) -> CLScenario:
    """Return two experiences and one test set, as CORe50's."""
    groups = ([0, 1, 2], [3, 4, 5] if not shuffled else [2, 4, 5])
    whole, test = Shapes(48, 0), as_classification_dataset(Shapes(24, 1))
    data = as_classification_dataset(whole)
    train = [
        data.subset([k for k, target in enumerate(whole.targets) if target in group])
        for group in groups
    ]
    return benchmark_from_datasets(train=train, test=[test])


def online(known: bool = True, size: int = 5) -> CLScenario:
    made = classes(shuffle=False)
    pieces = split_online_stream(made.train_stream, size, access_task_boundaries=known)
    return CLScenario([pieces, made.test_stream])


def blurred() -> CLScenario:
    made = classes(shuffle=False)
    pieces = split_continuous_linear_decay_stream(made.train_stream, 4, 3, 4, True)
    return CLScenario([pieces, made.test_stream])


def several_tasks() -> CLScenario:
    data = Shapes(12, 0)
    made = as_classification_dataset(data)
    made = AvalancheDataset(
        [made], data_attributes=[DataAttribute([k % 2 for k in range(12)], "targets_task_labels")]
    )
    return benchmark_from_datasets(train=[made], test=[made])


def without_targets() -> CLScenario:
    made = AvalancheDataset([TensorDataset(torch.rand(8, 4), torch.arange(8))])
    return benchmark_from_datasets(train=[made], test=[made])


def two_tests() -> CLScenario:
    made = classes(shuffle=False)
    return CLScenario([made.train_stream, made.test_stream[:2]])


def validated() -> CLScenario:
    return benchmark_with_validation_stream(classes(shuffle=False), 0.25, seed=1)


def no_benchmark() -> int:
    return 3


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this file's functions reachable by a dotted path, as a user's module is."""
    own = types.ModuleType("own_streams")
    vars(own).update({k: v for k, v in globals().items() if callable(v)})
    monkeypatch.setitem(sys.modules, "own_streams", own)


def own(name: str, **arguments: Any) -> Any:
    """Build the stream of one of this file's functions."""
    return build_benchmark({"type": f"own_streams.{name}", **arguments})


@pytest.fixture
def mnist_root(fashion_root: Path, tmp_path: Path) -> Path:
    """Return a folder with generated digits in MNIST's files."""
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "MNIST" / "raw").symlink_to(fashion_root / "FashionMNIST" / "raw")
    return tmp_path


# ---------------------------------------------------------------- what is mapped


def test_split_mnist_by_its_name(mnist_root: Path) -> None:
    stream = build_benchmark(
        {"type": "avalanche.SplitMNIST", "n_experiences": 5, "dataset_root": str(mnist_root)}
    )
    assert sorted(sum(map(list, stream.classes_of), [])) == list(range(10))
    assert stream.names == ["+".join(map(str, group)) for group in stream.classes_of]
    assert (stream.n_classes, stream.channels, stream.task_labels) == (10, 1, False)
    image, target, task = stream.dataset(stream.names[0], "test")[0]
    assert target in stream.classes_of[0]
    assert task == 0
    raw = (image * 0.3081 + 0.1307) * 255  # Avalanche's own transform
    assert torch.allclose(raw, raw.round(), atol=1e-3)


def test_the_classes_are_drawn_alike_in_every_process(mnist_root: Path) -> None:
    section = {"type": "avalanche.SplitMNIST", "n_experiences": 5, "dataset_root": str(mnist_root)}
    torch.manual_seed(1)
    first = build_benchmark(section).names
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert build_benchmark(section).names == first
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)  # nothing else is drawn from
    other = build_benchmark({**section, "seed": 5}).names
    assert other != first


def test_the_samples_are_those_of_our_own_reader(fashion_root: Path) -> None:
    """SplitFMNIST is Avalanche's name for Fashion-MNIST; the config's transforms apply."""
    steps = {key: [{"type": "ToTensor"}] for key in ("train_transform", "eval_transform")}
    given = {"n_experiences": 5, "dataset_root": str(fashion_root), **steps}
    theirs = build_benchmark(
        {"type": "avalanche.SplitFMNIST", "fixed_class_order": list(range(10)), **given}
    )
    ours = build_benchmark({"type": "SplitFashionMNIST", **given})
    assert isinstance(ours, SplitFashionMNIST)
    assert isinstance(theirs, AvalancheStream)
    assert theirs.names == ours.names
    assert theirs.classes_of == ours.classes_of
    for split in ("train", "test"):
        for name in ours.names:
            rows = [
                sorted((int(y), *x.flatten().tolist()) for x, y, _ in stream.dataset(name, split))
                for stream in (theirs, ours)
            ]
            assert rows[0] == rows[1]


def test_shared_classes_and_task_labels(mnist_root: Path) -> None:
    stream = build_benchmark(
        {
            "type": "avalanche.PermutedMNIST",
            "n_experiences": 2,
            "return_task_id": True,
            "dataset_root": str(mnist_root),
        }
    )
    assert stream.names == ["step-1", "step-2"]
    assert stream.classes_of is None  # no task-IL accuracy among shared classes
    assert [stream.task_of(name) for name in stream.names] == [0, 1]
    assert [list(e.task_labels) for e in stream.train_stream] == [[0], [1]]
    assert stream.dataset("step-2", "test")[0][2] == 1


def test_one_test_set_is_cut_by_classes() -> None:
    stream = own("one_test_for_all")
    assert stream.names == ["0+1+2", "3+4+5"]
    for name, group in zip(stream.names, stream.classes_of, strict=True):
        found = {int(y) for _, y, _ in stream.dataset(name, "test")}
        assert found == set(group)
    assert sum(len(stream.dataset(name, "test")) for name in stream.names) == 24


def test_a_validation_stream_is_one() -> None:
    stream = own("validated")
    assert [len(stream.validation(k)) for k in range(3)] == [4, 4, 4]
    assert [len(stream.sources[n, "train"]) for n in stream.names] == [12, 12, 12]


@pytest.mark.parametrize("known", [True, False])
def test_pieces_of_an_online_stream_are_chunks(known: bool) -> None:
    stream = own("online", known=known)
    assert stream.names == ["0+1", "2+3", "4+5"]
    for experience in stream.train_stream:
        arrival = experience.arrival
        assert [len(chunk) for chunk in arrival.chunks] == [5, 5, 6]  # a last one of 1 joins
        assert sum(arrival.chunks, ()) == tuple(range(16))
        assert arrival.hidden is not known


def test_a_function_of_ones_own_may_be_registered() -> None:
    SCENARIOS.register_module(name="OwnShapes", module=classes)
    try:
        assert build_benchmark({"type": "OwnShapes"}).n_classes == 6
    finally:
        del SCENARIOS.module_dict["OwnShapes"]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_benchmark", r"no_benchmark returned a int, not a benchmark of Avalanche's\. Return"),
        ("scored", r"its targets are scores.*scenario=dict\(type='QualityStream'"),
        ("without_targets", r"no targets\. Make them by as_classification_dataset"),
        ("several_tasks", r"training experience 0 has the tasks \[0, 1\]\. Make one experience of"),
        ("blurred", r"belong to no experience.*the key scenario\.online over"),
        ("two_tests", r"2 test experience\(s\) for 3 training experiences.*Make one for each"),
    ],
)
def test_what_cannot_be_mapped_is_said_in_a_line(name: str, message: str) -> None:
    with pytest.raises(CliqaError, match=message) as caught:
        own(name)
    assert "\n" not in str(caught.value)


def test_a_test_set_of_recurring_classes_is_refused() -> None:
    with pytest.raises(CliqaError, match=r"1 test experience\(s\) for 2.*no class recurs"):
        own("one_test_for_all", shuffled=True)


def test_an_online_stream_is_not_cut_twice() -> None:
    with pytest.raises(CliqaError, match=r"scenario\.online: the benchmark is an online stream"):
        own("online", online={"chunk_size": 4})


# ---------------------------------------------------------------- through the engine


def config_over(split_config: Config, scenario: Config, count: int = 10, **strategy: Any) -> Config:
    """Return a config of a small network over a scenario."""
    split_config["scenario"] = scenario
    split_config["model"]["head"]["num_classes"] = count
    split_config["cl_strategy"] |= {"train_epochs": 1, **strategy}
    return split_config


def test_a_run_resumes_to_the_same_bits_and_is_evaluated(
    split_config: Config, mnist_root: Path, run_config: Callable[..., Path]
) -> None:
    scenario = {"type": "avalanche.SplitMNIST", "n_experiences": 2, "dataset_root": str(mnist_root)}
    config = config_over(split_config, scenario)
    whole = run_config(copy.deepcopy(config), "whole")
    run_config(copy.deepcopy(config), "part", stop_after=1)
    part = run_config(copy.deepcopy(config), "part", resume="auto")
    results = [json.loads((folder / "results.json").read_text()) for folder in (whole, part)]
    assert results[0]["matrix"] == results[1]["matrix"]
    assert "accuracy_task_il" in results[0]["matrix"]
    weights = [
        torch.load(folder / "checkpoints" / "last.pth", weights_only=True)["strategy"]["model"]
        for folder in (whole, part)
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    with pytest.raises(CheckpointError, match=r"transforms of its own.*scenario\.eval_transform"):
        open_model(whole, CPU)


def test_a_head_for_each_task(split_config: Config, run_config: Callable[..., Path]) -> None:
    """Classes are numbered from 0 in every experience, and the task is known."""
    options = {"task_labels": True, "class_ids_from_zero_in_each_exp": True}
    scenario = {"type": "own_streams.classes", **options}
    strategy: Config = {"type": "TaskSpecificParts", "inference": "oracle"}
    strategy["parts"] = ["backbone", "head"]
    config = config_over(split_config, scenario, 2, **strategy)
    del config["cl_strategy"]["mem_size"]
    folder = run_config(config)
    matrix = json.loads((folder / "results.json").read_text())["matrix"]["accuracy"]
    assert [row[0] for row in matrix] == [matrix[0][0]] * 3  # each has parts of its own
    assert matrix[1][1] == matrix[2][1]
    network = {"type": "avalanche.models.MTSimpleMLP", "input_size": 64}
    with pytest.raises(CliqaError, match=r"MTSimpleMLP.*head for each task.*TaskSpecificParts"):
        build({**config, "model": network}, CPU)


def test_chunks_reach_the_methods(split_config: Config, run_config: Callable[..., Path]) -> None:
    config = config_over(split_config, {"type": "own_streams.online"}, 6)
    folder = run_config(copy.deepcopy(config), "known")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["images"] for row in rows if row["kind"] == "epoch"][:3] == [5, 10, 16]
    config["scenario"]["known"] = False
    with pytest.raises(CliqaError, match=r"'Replay': .*Avalanche's access_task_boundaries"):
        build(config, CPU)

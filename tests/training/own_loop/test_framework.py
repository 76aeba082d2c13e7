"""Continual learning in a loop of one's own: equal to the package's, and safe to stop."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.ava import AVA
from cliqa.datasets.quality.eva import EVA
from cliqa.losses.distillation import distillation_loss
from cliqa.models.freezing import set_training
from cliqa.models.lightweight import create_lightweight_model
from cliqa.training.loop.loaders.image_loader import make_loader
from cliqa.training.own_loop.framework import (
    BUILT_IN,
    ContinualLearningFramework,
    ContinualLearningStrategy,
)
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError
from cliqa.utils.seed import seed_everything

SEED = 1
"""The seed of `make_strategy`'s runs."""

Same = Callable[[Any, Any], None]


def by_hand(strategy: Any, framework: ContinualLearningFramework, stream: QualityStream) -> None:
    """Train the stream's first two data sets as the package's loop does, in a loop of its own."""
    model, optimizer = strategy.model, strategy.optimizer
    for task_id, experience in enumerate(stream.train_stream[:2]):
        seed_everything(SEED, "step", task_id, "start")
        framework.before_task(task_id)
        for epoch in range(2):
            seed_everything(SEED, "step", task_id, "epoch", epoch)
            set_training(model, True)
            for batch in make_loader(experience.dataset.train(), 8, train=True):
                optimizer.zero_grad()
                framework.compute_loss(batch).backward()
                optimizer.step()
        framework.after_task(task_id, make_loader(experience.dataset.eval(), 16, train=False))


@pytest.mark.parametrize(
    ("name", "plugins", "arguments"),
    [
        ("naive", [], {}),
        ("l2", [L2(0.3)], {"strength": 0.3}),
        ("ewc", [EWC(2.0, n_samples=9)], {"strength": 2.0, "n_samples": 9}),
        ("mas", [MAS(1.5)], {"strength": 1.5}),
        ("lwf", [LwF(0.7)], {"alpha": 0.7}),
        ("si", [SI(0.6)], {"strength": 0.6}),
    ],
)
def test_a_loop_of_ones_own_ends_where_the_packages_does(
    name: str,
    plugins: list[Any],
    arguments: dict[str, Any],
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    assert_same: Same,
) -> None:
    package, own = make_strategy(plugins), make_strategy()
    for index in range(2):
        package.train_step(index, [tiny_stream.train_stream[index]])
    framework = ContinualLearningFramework(own.model, name, nn.L1Loss(), seed=SEED, **arguments)
    by_hand(own, framework, tiny_stream)
    if name in ("ewc", "mas"):  # measured in batches of other sizes, which are rounded otherwise
        for key, value in package.model.state_dict().items():
            assert torch.allclose(own.model.state_dict()[key], value, atol=1e-5), key
        return
    assert_same(own.model.state_dict(), package.model.state_dict())
    if plugins:
        assert_same(framework.state_dict()["strategy"], plugins[0].state_dict())


def pairs(seed: int = 0, count: int = 12) -> DataLoader[Any]:
    """Return a loader of inputs (B, 3) and scores (B,)."""
    random = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 3, generator=random)
    return DataLoader(TensorDataset(x, x.sum(1)), batch_size=4)


class Line(nn.Linear):
    """A linear model of scores."""

    def __init__(self) -> None:
        super().__init__(3, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs)[:, 0]


def after_one_task(strategy: Any, **arguments: Any) -> ContinualLearningFramework:
    """Return a framework in its second task, its weights moved since the first."""
    torch.manual_seed(0)
    framework = ContinualLearningFramework(Line(), strategy, **arguments)
    framework.before_task(0)
    framework.after_task(0, pairs())
    framework.before_task(1)
    with torch.no_grad():
        for weight in framework.model.parameters():
            weight.add_(0.1)
    return framework


def test_the_loss_is_the_criterion_and_the_penalty() -> None:
    x, y = next(iter(pairs(1)))
    framework = after_one_task("l2", strength=0.5)
    with torch.no_grad():
        own = float((framework.model(x) - y).square().mean())
    assert framework.compute_loss((x, y), 1).item() == pytest.approx(own + 0.25 * 4 * 0.1**2)
    ewc = after_one_task("ewc", strength=0.5, sigma=1.0)
    inputs = torch.cat([batch[0] for batch in pairs()])
    fisher = torch.cat([inputs.square().mean(0), torch.ones(1)])  # a linear model's, sigma 1
    expected = own + 0.25 * float(fisher.sum()) * 0.1**2
    assert ewc.compute_loss([x, y]).item() == pytest.approx(expected, rel=1e-5)


def test_nothing_is_added_during_the_first_task() -> None:
    batch = next(iter(pairs()))
    for name in BUILT_IN:
        torch.manual_seed(0)
        framework = ContinualLearningFramework(Line(), name)
        framework.before_task(0)
        expected = nn.functional.mse_loss(framework.model(batch[0]), batch[1])
        assert torch.equal(framework.compute_loss(batch), expected)


def test_classes_and_crops() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    framework = ContinualLearningFramework(model, "ewc", nn.CrossEntropyLoss(), strength=1.0)
    x, y = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 4])
    framework.before_task(0)
    assert framework.compute_loss((x, y, torch.zeros(4))).ndim == 0  # with Avalanche's task labels
    crops = x[:, None].expand(-1, 6, -1, -1, -1)
    assert torch.allclose(framework.compute_loss((crops, y)), framework.compute_loss((x, y)))
    framework.after_task(0, [(x, y)])  # any iterable of batches
    framework.before_task(1)
    assert framework.compute_loss((x, y)).item() > 0


def test_only_classes_that_the_teacher_has_met_are_distilled(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 5)

    def make() -> ContinualLearningFramework:
        return ContinualLearningFramework(
            model, "lwf", nn.CrossEntropyLoss(), alpha=0.5, temperature=3.0
        )

    framework = make()
    x = torch.rand(6, 3)
    framework.before_task(0)
    framework.compute_loss((x[:3], torch.tensor([0, 3, 0])))
    torch.save(framework.state_dict(), tmp_path / "state.pth")  # in the middle of the task
    framework = make()
    framework.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    framework.compute_loss((x[3:], torch.tensor([1, 0, 3])))
    framework.after_task(0)
    before = model(x).detach()[:, [0, 1, 3]]
    with torch.no_grad():
        model.weight.add_(torch.randn_like(model.weight))
    framework.before_task(1)
    y = torch.tensor([2, 4, 2, 4, 2, 4])
    now = model(x)
    expected = nn.functional.cross_entropy(now, y) + 0.5 * distillation_loss(
        now[:, [0, 1, 3]], before, 3.0
    )
    assert torch.allclose(framework.compute_loss((x, y)), expected)


class Recall(ContinualLearningStrategy):
    """A strategy of one's own: the criterion on the last batch of the task before, too."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.batch: list[Tensor] = []

    def before_task(self, model: nn.Module, task_id: int) -> None:
        self.calls.append(f"before {task_id}")

    def compute_loss(
        self, model: nn.Module, batch: Sequence[Any], task_id: int, criterion: Any, **kwargs: Any
    ) -> Tensor:
        losses = [criterion(model(x), y) for x, y in ([self.batch] if self.batch else []) + [batch]]
        return torch.stack(losses).sum()

    def after_task(self, model: nn.Module, task_id: int, dataloader: Any = None) -> None:
        self.calls.append(f"after {task_id}")
        self.batch = list(dataloader)[-1]

    def state_dict(self) -> dict[str, Any]:
        return {"batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batch = state["batch"]


def test_a_strategy_of_ones_own() -> None:
    strategy = Recall()
    framework = after_one_task(strategy)
    assert strategy.calls == ["before 0", "after 0", "before 1"]
    x, y = next(iter(pairs(1)))
    model = framework.model
    old_x, old_y = list(pairs())[-1]
    expected = (model(x) - y).square().mean() + (model(old_x) - old_y).square().mean()
    assert torch.allclose(framework.compute_loss((x, y)), expected)


@pytest.mark.parametrize(
    "make", [lambda: "l2", lambda: "ewc", lambda: "mas", lambda: "lwf", lambda: "replay", Recall]
)
def test_the_state_goes_through_a_file(make: Callable[[], Any], tmp_path: Path) -> None:
    framework = after_one_task(make())
    torch.save(framework.state_dict(), tmp_path / "state.pth")
    other = ContinualLearningFramework(copy.deepcopy(framework.model), make())
    other.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    batch = next(iter(pairs(1)))
    loss = other.compute_loss(batch, 1)  # task 1 goes on
    assert torch.equal(loss, framework.compute_loss(batch))
    assert loss != nn.functional.mse_loss(other.model(batch[0]), batch[1])


def test_n_samples_draws_the_same_samples_from_any_loader() -> None:
    states = []
    for size in (4, 5):
        data = pairs(count=30).dataset
        framework = after_one_task("naive")
        framework = ContinualLearningFramework(framework.model, "mas", n_samples=7, seed=3)
        framework.before_task(0)
        framework.after_task(0, DataLoader(data, batch_size=size))
        states.append(framework.state_dict()["strategy"]["importance"]["weight"])
    assert torch.allclose(*states)


def test_the_usage_of_two_quality_data_sets(tiny_data: Path, tmp_path: Path) -> None:
    scores = {}
    for name in "ab":
        rows = (tiny_data / name / "scores.csv").read_text().splitlines()[1:]
        (tmp_path / name).mkdir()
        scores[name] = [(f"{row[:3]}.jpg", float(row.split(",")[1])) for row in rows]
        for image, _ in scores[name]:
            source = tiny_data / name / f"{Path(image).stem}.png"
            Image.open(source).save(tmp_path / name / image)
    eva = "".join(f"{Path(image).stem},{10 * score}\n" for image, score in scores["a"])
    (tmp_path / "labels.csv").write_text(f"image_id,score\n{eva}")
    ava = [{"image": image, "score": 1 + 9 * score} for image, score in scores["b"]]
    (tmp_path / "labels.json").write_text(json.dumps({"files": ava}))
    datasets = [
        EVA(tmp_path, labels="labels.csv", images="a"),
        AVA(tmp_path, labels="labels.json", img_root="b"),
    ]
    torch.manual_seed(0)
    model = create_lightweight_model(backbone="mobilenet_v3_small", embedding_dim=16)
    framework = ContinualLearningFramework(model=model, strategy="ewc", n_samples=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for task_id, dataset in enumerate(datasets):
        train = dataset.subset("train")
        train.transform = lambda image: image.float() / 255
        loader = DataLoader(train, batch_size=8, shuffle=True)
        framework.before_task(task_id=task_id)
        for batch in loader:
            optimizer.zero_grad()
            loss = framework.compute_loss(batch, task_id=task_id)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        framework.after_task(task_id=task_id, dataloader=loader)
    assert len(losses) == 8
    assert all(0 <= loss < 10 for loss in losses)
    assert framework.state_dict()["strategy"]["learnt"] == 2


@pytest.mark.parametrize(
    ("strategy", "arguments", "message"),
    [
        (
            "ewcc",
            {},
            "strategy 'ewcc'. Did you mean .ewc.. Use ewc, l2, lwf, mas, naive, packnet, replay",
        ),
        (None, {}, "unknown strategy None"),
        ("DER", {}, "strategy 'DER' changes the training loop itself"),
        ("replay", {"mem_size": 0}, "Replay: mem_size must be"),
        ("packnet", {"prune": 1.0}, "PackNet: prune must lie in 0..1, below 1"),
        ("packnet", {"inference": "gate"}, r"evaluate a task in framework.view\(task_id\)"),
        ("packnet", {"prune": None}, "prune=None follows from the number of tasks"),
        ("l2", {"strategy_params": {"ewc_lambda": 1}}, "strategy 'l2'.*'ewc_lambda'"),
        ("naive", {"strength": 1}, "strategy 'naive' takes no argument, got strength"),
        ("l2", {"strenght": 1}, "strategy 'l2'.*'strenght'. Did you mean 'strength'"),
        ("l2", {"strength": -1}, "strength must be >= 0, got -1"),
        (Recall(), {"size": 1}, "Recall: size cannot be set for a strategy object"),
    ],
)
def test_invalid_strategies_are_refused(
    strategy: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ContinualLearningFramework(Line(), strategy, **arguments)


def test_the_arguments_as_a_dict_and_by_another_word() -> None:
    same = [
        after_one_task("ewc", strategy_params={"ewc_lambda": 1000.0}),
        after_one_task("ewc", ewc_lambda=1000.0),
        after_one_task("ewc", strength=1000.0),
    ]
    batch = next(iter(pairs(1)))
    losses = [framework.compute_loss(batch).item() for framework in same]
    assert losses[0] == losses[1] == losses[2]


def test_calls_out_of_order() -> None:
    framework = ContinualLearningFramework(Line(), "ewc")
    batch = next(iter(pairs()))
    with pytest.raises(ConfigError, match=r"compute_loss: no task has begun. Call before_task"):
        framework.compute_loss(batch)
    with pytest.raises(ConfigError, match=r"after_task: no task has begun"):
        framework.after_task(0)
    framework.before_task(0)
    with pytest.raises(
        ConfigError, match=r"before_task\(1\): task 0 has not ended. Call after_task"
    ):
        framework.before_task(1)
    with pytest.raises(ConfigError, match=r"compute_loss: task 1 is given, but task 0 has begun"):
        framework.compute_loss(batch, 1)
    with pytest.raises(ConfigError, match=r"measures the finished task's data: call after_task"):
        framework.after_task(0)


def test_batches_that_do_not_fit() -> None:
    framework = ContinualLearningFramework(nn.Linear(3, 1))
    framework.before_task(0)
    with pytest.raises(ConfigError, match=r"expected a batch \(inputs, targets\), got Tensor"):
        framework.compute_loss(torch.rand(4, 3))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"outputs have the shape \(4, 1\), the targets \(4,\)"):
        framework.compute_loss((torch.rand(4, 3), torch.rand(4)))


def test_a_state_of_another_strategy_is_refused() -> None:
    state = after_one_task("l2").state_dict()
    with pytest.raises(CheckpointError, match="the state is that of L2, and this strategy is EWC"):
        after_one_task("ewc").load_state_dict(state)


# -------------------------------------------------------------------- any model


class Said(nn.Module):
    """Scores that are packed in something."""

    def __init__(self, pack: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.line, self.pack = Line(), pack

    def forward(self, inputs: Tensor) -> Any:
        return self.pack(self.line(inputs))


class Output(OrderedDict[str, Tensor]):
    """An output as transformer libraries give it."""


@pytest.mark.parametrize("name", ["naive", "ewc", "mas", "lwf", "l2"])
@pytest.mark.parametrize(
    ("pack", "message"),
    [
        (lambda s: {"score": s}, r"returns a dict with score for a batch.*model\(x\)\['score'\]\."),
        (lambda s: (s, s), r"returns a tuple of 2 for a batch.*right tensor: model\(x\)\[0\]\."),
        (lambda s: Output(logits=s), r"returns an Output with logits.*model\(x\)\['logits'\]"),
        (lambda s: None, r"returns a NoneType for a batch; expected a tensor of scores \(B,\)"),
    ],
)
def test_an_output_that_is_no_tensor_is_refused(name: str, pack: Any, message: str) -> None:
    framework = ContinualLearningFramework(Said(pack), name)
    framework.before_task(0)
    with pytest.raises(ModelError, match=message):
        framework.compute_loss(next(iter(pairs())))
    if name in ("ewc", "mas"):
        with pytest.raises(ModelError, match=message):
            framework.after_task(0, pairs())


def test_the_advice_for_a_packed_output_works() -> None:
    class Unpacked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = Said(lambda s: {"score": s})

        def forward(self, inputs: Tensor) -> Tensor:
            scores: Tensor = self.module(inputs)["score"]
            return scores

    framework = ContinualLearningFramework(Unpacked(), "ewc")
    framework.before_task(0)
    framework.compute_loss(next(iter(pairs()))).backward()
    framework.after_task(0, pairs())
    assert framework.state_dict()["strategy"]["anchor"].keys() == {
        "module.line.weight",
        "module.line.bias",
    }


@pytest.mark.parametrize("name", ["naive", "ewc", "mas", "lwf", "l2"])
def test_a_column_of_scores_is_refused(name: str) -> None:
    """As logits of one class it would have a likelihood of 1, and no importance at all."""
    framework = ContinualLearningFramework(nn.Linear(3, 1), name)
    framework.before_task(0)
    with pytest.raises(
        ConfigError, match=r"the shape \(4, 1\), the targets \(4, 1\).*\[:, 0\], and"
    ):
        framework.compute_loss((torch.rand(4, 3), torch.rand(4, 1)))


@pytest.mark.parametrize("name", ["ewc", "lwf"])
def test_vectors_of_numbers_are_not_taken_for_logits(name: str) -> None:
    framework = ContinualLearningFramework(nn.Linear(3, 2), name)
    framework.before_task(0)
    with pytest.raises(ConfigError, match=r"\(4, 2\) are not class probabilities.*'mas' or"):
        framework.compute_loss((torch.rand(4, 3), torch.rand(4, 2)))
    shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]])  # soft labels are
    assert framework.compute_loss((torch.rand(2, 3), shares)).isfinite()
    other: dict[str, Any] = {"distill": "mse"} if name == "lwf" else {}
    other_name = "lwf" if name == "lwf" else "mas"
    framework = ContinualLearningFramework(nn.Linear(3, 2), other_name, **other)
    framework.before_task(0)
    assert framework.compute_loss((torch.rand(4, 3), torch.rand(4, 2))).isfinite()


def compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled], ids=["parallel", "compiled"])
@pytest.mark.parametrize("name", ["naive", "ewc", "mas", "lwf", "l2"])
def test_a_wrapped_model_learns_as_the_model_does(name: str, wrap: Any, assert_same: Same) -> None:
    states = []
    for wrapped in (False, True):
        torch.manual_seed(0)
        line = Line()
        model = wrap(line) if wrapped else line
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        framework = ContinualLearningFramework(model, name)
        for task_id in range(2):
            framework.before_task(task_id)
            for batch in pairs(task_id):
                optimizer.zero_grad()
                framework.compute_loss(batch).backward()
                optimizer.step()
            framework.after_task(task_id, pairs(task_id))
        states.append((line.state_dict(), framework.state_dict()))
    assert_same(states[1], states[0])


def test_a_state_of_another_model_is_refused() -> None:
    framework = after_one_task("l2")
    other = ContinualLearningFramework(Said(lambda s: s), "l2")
    with pytest.raises(CheckpointError, match=r"it has 'bias', and this Said has 'line\.weight'"):
        other.load_state_dict(framework.state_dict())

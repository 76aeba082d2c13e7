"""Dark experience replay: who is remembered with which outputs, the loss, and the state."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.build import build
from cliqa.losses.distillation import output_distance
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]
Same = Callable[[Any, Any], None]


def run(strategy: Any, stream: QualityStream, steps: int = 2, first: int = 0) -> None:
    for index in range(first, steps):
        strategy.train_step(index, [stream.train_stream[index]])


# -------------------------------------------------------------------- the reservoir


@pytest.mark.parametrize(("size", "places", "runs"), [(20, 200, 600), (1, 4, 3000)])
def test_every_place_of_the_stream_is_equally_likely_to_be_remembered(
    size: int, places: int, runs: int
) -> None:
    """In a short stream a probability of M / (n - 1) would be seen, too."""
    hits: Counter[int] = Counter()
    step = 8 if places > 8 else 1
    for seed in range(runs):
        memory = DER(size)
        for start in range(0, places, step):
            memory.offer(0, list(range(start, start + step)), torch.zeros(step), seed)
        hits.update(memory.state_dict()["index"].tolist())
    observed = [hits[place] for place in range(places)]
    assert sum(observed) == runs * size
    # draws without replacement vary less than the test assumes: a small p is a real bias
    assert stats.chisquare(observed).pvalue > 0.01


def test_a_memory_that_is_not_full_holds_what_came_by_in_order() -> None:
    memory = DER(10)
    memory.offer(0, [4, 2], torch.tensor([0.4, 0.2]), seed=0)
    memory.offer(1, [7, 2, 3], torch.tensor([0.7, 0.1, 0.3]), seed=0)
    state = memory.state_dict()
    assert len(memory) == state["seen"] == 5
    assert state["experience"].tolist() == [0, 0, 1, 1, 1]
    assert state["index"].tolist() == [4, 2, 7, 2, 3]
    assert torch.equal(state["output"], torch.tensor([0.4, 0.2, 0.7, 0.1, 0.3]))


def test_a_sample_and_its_outputs_stay_together() -> None:
    memory = DER(6)
    for experience in range(3):
        for start in range(0, 40, 5):
            places = list(range(start, start + 5))
            outputs = torch.tensor([[experience, place] for place in places], dtype=torch.float32)
            memory.offer(experience, places, outputs, seed=1)
    state = memory.state_dict()
    pairs = torch.stack([state["experience"], state["index"]], dim=1).float()
    assert len(memory) == 6
    assert state["seen"] == 120
    assert torch.equal(state["output"], pairs)


def test_outputs_of_a_head_that_has_grown_are_widened_with_nan() -> None:
    memory = DER(4)
    memory.offer(0, [0, 1], torch.ones(2, 2), seed=0)
    memory.offer(1, [0, 1], torch.ones(2, 3), seed=0)
    output = memory.state_dict()["output"]
    assert output.shape == (4, 3)
    assert output.isnan().tolist() == [[False, False, True]] * 2 + [[False] * 3] * 2
    memory.offer(2, [0] * 40, torch.full((40, 2), 5.0), seed=0)  # another model may be narrower
    assert memory.state_dict()["output"].shape == (4, 3)


def test_the_seed_decides(assert_same: Same) -> None:
    memories = [DER(5) for _ in range(3)]
    for memory, seed in zip(memories, (1, 1, 2), strict=True):
        memory.offer(0, list(range(100)), torch.zeros(100), seed)
    first, again, other = (memory.state_dict() for memory in memories)
    assert_same(first, again)
    assert not torch.equal(first["index"], other["index"])


# -------------------------------------------------------------------- in training


def test_outputs_are_those_of_the_step_that_remembered_the_sample(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    memory = DER(1000)
    strategy = make_strategy([memory], epochs=1)
    batches: list[tuple[Tensor, Tensor]] = []
    step = strategy.optimizer_step

    def watch() -> None:
        batches.append((strategy.mb_y.clone(), strategy.mb_output.detach().clone()))
        step()

    strategy.optimizer_step = watch
    run(strategy, tiny_stream)
    state = memory.state_dict()
    # nothing was replaced yet, so the memory is the stream of the batches itself
    assert torch.equal(state["output"], torch.cat([output for _, output in batches]))
    assert state["experience"].tolist() == [0] * 32 + [1] * 32
    names = [tiny_stream.names[k] for k in state["experience"]]
    targets = [
        tiny_stream.sources[name, "train"].scores[i]
        for name, i in zip(names, state["index"].tolist(), strict=True)
    ]
    assert torch.equal(torch.tensor(targets).float(), torch.cat([target for target, _ in batches]))


def test_samples_of_another_memory_are_not_remembered(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    memory = DER(1000)
    run(make_strategy([Replay(8, batch_size_mem=4), memory], epochs=1), tiny_stream)
    state = memory.state_dict()
    assert state["experience"].tolist() == [0] * 32 + [1] * 32
    assert sorted(state["index"].tolist()) == sorted([*range(32), *range(32)])


def without_batch_norm(model: nn.Module) -> None:
    """Replace batch normalisation, so that samples do not depend on each other."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(1, child.num_features, affine=False))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_loss_is_that_of_the_paper(
    batch_norm: bool,
    make_strategy: Make,
    tiny_stream: QualityStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With batch normalisation the memory is one batch to the model, and the new one another."""
    strategy = make_strategy([DER(16, alpha=0.3, beta=0.7, batch_size_mem=4)], epochs=1)
    strategy.model.body[5].p = 0.0
    if not batch_norm:
        without_batch_norm(strategy.model)
    tiny_stream.train_transform = tiny_stream.eval_transform
    run(strategy, tiny_stream, steps=1)
    memory = next(p for p in strategy.plugins if isinstance(p, DER))
    stored = dict(enumerate(memory.state_dict()["output"].tolist()))
    state = copy.deepcopy(memory.state_dict())
    losses: list[float] = []
    backward = strategy.backward

    def check() -> None:
        (first, _), (second, _) = memory._now
        model = copy.deepcopy(strategy.model)
        batches = [torch.cat([first[0], second[0]])] if batch_norm else [first[0], second[0]]
        then_now, task = torch.cat([model(images) for images in batches]).split(4)
        expected = F.l1_loss(model(strategy.mb_x), strategy.mb_y)
        scores = torch.tensor(tiny_stream.sources["a", "train"].scores).float()
        slots = [int((scores[state["index"]] == y).nonzero()[0]) for y in first[1]]
        then = torch.tensor([stored[slot] for slot in slots])
        expected = expected + 0.3 * F.mse_loss(then_now, then)
        expected = expected + 0.7 * F.l1_loss(task, second[1])
        losses.append(float(strategy.loss.detach() - expected.detach()))
        assert len(strategy.mb_x) == len(strategy.mb_output) == 8
        assert len(first[0]) == len(second[0]) == 4
        backward()

    monkeypatch.setattr(strategy, "backward", check)
    strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert losses == pytest.approx([0.0] * 4, abs=1e-6)


@pytest.mark.parametrize(
    ("alpha", "beta", "batch_norm", "passes"),
    [
        (0.1, 0.0, True, [8, 8]),
        (0.0, 0.5, True, [8, 8]),
        (0.1, 0.5, True, [8, 16]),
        (0.1, 0.0, False, [16]),
        (0.1, 0.5, False, [24]),
    ],
)
def test_memory_batches_go_through_the_model_together(
    alpha: float,
    beta: float,
    batch_norm: bool,
    passes: list[int],
    make_strategy: Make,
    tiny_stream: QualityStream,
) -> None:
    strategy = make_strategy([DER(16, alpha, beta)], epochs=1)
    if not batch_norm:
        without_batch_norm(strategy.model)
    sizes: list[int] = []
    forward = strategy.model.forward

    def watch(images: Tensor) -> Tensor:
        sizes.append(len(images))
        output: Tensor = forward(images)
        return output

    strategy.model.forward = watch
    run(strategy, tiny_stream)
    assert sizes == [8] * 4 + passes * 4  # the memory is empty in the first epoch of all


def test_without_both_terms_it_is_naive_to_the_bit(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Same
) -> None:
    naive, dark = make_strategy(), make_strategy([DER(16, alpha=0.0, beta=0.0)])
    for strategy in (naive, dark):
        run(strategy, tiny_stream, 3)
    assert_same(dark.model.state_dict(), naive.model.state_dict())


def test_it_remembers_what_naive_forgets(make_strategy: Make, tiny_stream: QualityStream) -> None:
    gaps = {}
    cases: dict[str, list[Any]] = {"naive": [], "der": [DER(24, alpha=0.1, beta=1.0)]}
    for name, plugins in cases.items():
        strategy = make_strategy(plugins, epochs=20)
        run(strategy, tiny_stream)
        predicted, target = strategy.predict(tiny_stream.dataset("a", "train").eval())
        gaps[name] = float(abs(predicted - target).mean())
    assert gaps["der"] < 0.5 * gaps["naive"]


CASES: dict[str, Callable[[], list[Any]]] = {
    "der++": lambda: [DER(12)],
    "der": lambda: [DER(12, beta=0.0, batch_size_mem=3)],
    "with others": lambda: [LwF(), Replay(6), DER(12, seed=5)],
}


@pytest.mark.parametrize("case", CASES)
def test_resume_at_every_epoch_is_bit_identical(
    case: str, make_strategy: Make, tiny_stream: QualityStream, assert_same: Same
) -> None:
    saved: list[dict[str, Any]] = []
    amp = case == "der"
    whole = make_strategy(CASES[case](), amp=amp)
    whole.on_epoch = lambda _: saved.append(copy.deepcopy(whole.state_dict()))
    run(whole, tiny_stream, 3)
    assert len(saved) == 6
    for state in saved[:: 1 if case == "der++" else 3]:
        torch.manual_seed(99)  # a new process knows nothing of the old one's generator
        resumed = make_strategy(CASES[case](), amp=amp)
        resumed.load_state_dict(state)
        run(resumed, tiny_stream, 3, state["step_index"])
        assert_same(resumed.state_dict(), whole.state_dict())


@pytest.mark.slow
def test_workers_load_the_memory_repeatably(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Same
) -> None:
    states = []
    for _ in range(2):
        strategy = make_strategy([DER(12)], epochs=2, num_workers=1)
        run(strategy, tiny_stream, 1)
        states.append(strategy.state_dict())
    assert_same(*states)
    assert states[0]["plugins"]["0.DER"]["seen"] == 64


# -------------------------------------------------------------------- over classes


def over_classes(config: dict[str, Any]) -> dict[str, Any]:
    config["cl_strategy"] |= {"type": "DER", "mem_size": 30, "batch_size_mem": 5}
    return config


@pytest.mark.parametrize("name", ["split_config", "features_config", "clear_config"])
def test_logits_are_remembered_with_their_samples(
    name: str, request: pytest.FixtureRequest
) -> None:
    config = over_classes(request.getfixturevalue(name))
    parts = build(config, torch.device("cpu"))
    memory = next(p for p in parts.strategy.plugins if isinstance(p, DER))
    seen: dict[float, int] = {}
    after = parts.strategy.optimizer_step

    def watch() -> None:
        strategy = parts.strategy
        seen.update(zip(strategy.mb_output[:, 0].tolist(), strategy.mb_y.tolist(), strict=True))
        after()

    parts.strategy.optimizer_step = watch
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)[:2]):
        parts.strategy.train_step(index, step)
    state = memory.state_dict()
    assert state["output"].shape == (30, parts.benchmark.n_classes)
    assert state["output"].dtype == torch.float32
    assert set(state["experience"].tolist()) == {0, 1}
    for k, i, output in zip(state["experience"], state["index"], state["output"], strict=True):
        data = parts.benchmark.train_stream[int(k)].dataset
        assert data[int(i)][1] == seen[float(output[0])]


@pytest.mark.parametrize("task_labels", [False, True])
def test_resume_over_classes_is_bit_identical(
    task_labels: bool,
    split_config: dict[str, Any],
    run_config: Callable[..., Any],
    assert_same: Same,
) -> None:
    config = over_classes(split_config)
    config["scenario"] |= {"task_labels": task_labels, "n_experiences": 2}
    config["checkpoint_config"] = {"interval": 1}
    whole = run_config(config, "whole")
    final = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)
    for place in sorted((whole / "checkpoints").glob("exp_*.pth"))[1:3]:
        folder = run_config(copy.deepcopy(config), f"from-{place.stem}", resume=str(place))
        state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
        assert_same(state["strategy"], final["strategy"])


def test_drawn_outputs_belong_to_the_drawn_samples(split_config: dict[str, Any]) -> None:
    parts = build(over_classes(split_config), torch.device("cpu"))
    strategy = parts.strategy
    memory = next(p for p in strategy.plugins if isinstance(p, DER))
    for experience in (1, 0, 2):  # a reservoir is in no order
        classes = [c for _, c, _ in parts.benchmark.train_stream[experience].dataset]
        logits = F.one_hot(torch.tensor(classes), 10).float()
        memory.offer(experience, list(range(len(classes))), logits, seed=0)
    strategy.experience = parts.benchmark.train_stream[2]
    strategy.dataloader = range(6)
    drawn = list(memory._drawn(strategy, terms=2))
    assert len(drawn) == 12
    for batch, stored in drawn:
        assert len(batch[0]) == 5
        assert torch.equal(stored.argmax(1), batch[1])
        assert float(output_distance(stored, stored)) == 0


# -------------------------------------------------------------------- refusals


def test_training_on_several_experiences_at_once_is_refused(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy([DER(8)], cls=Cumulative, epochs=1)
    with pytest.raises(ConfigError, match=r"DER: Cumulative trains on several experiences at once"):
        run(strategy, tiny_stream)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mem_size": 0}, "mem_size must be an integer >= 1, got 0"),
        ({"mem_size": 2.5}, r"mem_size must be an integer >= 1, got 2\.5"),
        ({"batch_size_mem": 0}, "batch_size_mem must be an integer >= 1, got 0"),
        ({"alpha": -0.1}, r"alpha must be >= 0, got -0\.1"),
        ({"beta": float("nan")}, "beta must be >= 0, got nan"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DER(**arguments)


def test_the_model_is_trained_in_its_own_mode(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    """Memory batches move the running statistics as any training batch does."""
    strategy = make_strategy([DER(16)], epochs=1)
    run(strategy, tiny_stream)
    norm = strategy.model.body[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_batches_tracked is not None
    assert int(norm.num_batches_tracked) == 4 + 2 * 4  # those of a step share a pass

"""Replay with texts: whose prompt is whose, what the loss is, and the memory's state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.engine.build import build
from cliqa.models.build import build_model
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.rehearsal.text_replay import (
    TextReplay,
    _of_samples,
    candidate_shares,
    drawn_prompts,
    prompt_positives,
)
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.utils.errors import ConfigError

Config = dict[str, Any]
Run = Callable[..., Any]
MODELS = ("ImageTextModel", "FusionModel")


def text_model(channels: int, texts: str, kind: str = "ImageTextModel") -> Config:
    return {
        "type": kind,
        "backbone": {"type": "SmallConvNet", "in_channels": channels, "channels": [4, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 8, "layers": 1, "heads": 2},
        "texts": texts,
        "in_channels": 8,
        "width": 8,
    }


def with_texts(config: Config, texts: str, kind: str) -> Config:
    """Give a config a model of texts and replay with them."""
    channels = 1 if texts == "fashion_mnist" else 3
    config["model"] = text_model(channels, texts, kind)
    config["cl_strategy"] |= {"type": "TextReplay", "mem_size": 12, "train_epochs": 2}
    return config


@pytest.fixture(params=MODELS)
def class_config(split_config: Config, request: pytest.FixtureRequest) -> Config:
    """Return a config over five experiences of two classes."""
    return with_texts(split_config, "fashion_mnist", request.param)


@pytest.fixture(params=MODELS)
def score_config(tiny_config: Config, request: pytest.FixtureRequest) -> Config:
    """Return a config over three data sets of scores."""
    return with_texts(tiny_config, "quality_levels", request.param)


@pytest.fixture(params=["classes", "scores"])
def any_config(request: pytest.FixtureRequest) -> Config:
    """Return a config over classes or over scores."""
    if request.param == "classes":
        config = request.getfixturevalue("split_config")
        config["scenario"]["n_experiences"] = 2
        return with_texts(config, "fashion_mnist", "FusionModel")
    return with_texts(request.getfixturevalue("tiny_config"), "quality_levels", "ImageTextModel")


def parts_of(config: Config) -> tuple[Any, Any]:
    """Return what a config builds, and its plugin."""
    parts = build(config, torch.device("cpu"))
    return parts, next(p for p in parts.strategy.plugins if isinstance(p, Replay))


def learn(parts: Any, count: int) -> None:
    stream = parts.benchmark.train_stream
    for index, step in enumerate(parts.strategy.steps(stream)[:count]):
        parts.strategy.train_step(index, step)


def watched(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, ...]]:
    """Return what the loss is called with: images, targets and prompts of every batch."""
    calls: list[tuple[Tensor, ...]] = []
    alignment = plugin.alignment

    def watch(model: Any, *batch: Tensor) -> Tensor:
        calls.append(tuple(part.detach().clone() for part in batch))
        found: Tensor = alignment(model, *batch)
        return found

    monkeypatch.setattr(plugin, "alignment", watch)
    return calls


def test_without_its_loss_it_is_replay_to_the_bit(
    any_config: Config, assert_same: Callable[[Any, Any], None]
) -> None:
    config, states = any_config, []
    for strategy in ({"type": "Replay"}, {"type": "TextReplay", "beta": 0.0}):
        config["cl_strategy"] |= strategy
        parts, plugin = parts_of(copy.deepcopy(config))
        learn(parts, 2)
        memory = plugin.state_dict()
        state = parts.strategy.state_dict()
        states.append((state["model"], state["optimizer"], memory))
    (model, optimizer, memory), (own_model, own_optimizer, own_memory) = states
    assert_same(own_model, model)
    assert_same(own_optimizer, optimizer)
    assert_same({key: own_memory[key] for key in memory}, memory)


def test_the_memory_keeps_classes_and_prompts_of_them(class_config: Config) -> None:
    parts, plugin = parts_of(class_config)
    learn(parts, 3)
    state, texts = plugin.state_dict(), parts.model.texts
    memory = plugin.memory(parts.benchmark.train_stream)
    assert [int(memory[i][1]) for i in range(len(memory))] == state["target"].tolist()
    assert [texts.owners[i] for i in state["prompt"]] == state["target"].tolist()
    assert set(state["target"].tolist()) == set(range(6))
    assert len(set(state["prompt"].tolist())) > 6  # not always a class's first one


def test_the_memory_keeps_scores_and_prompts_of_the_nearest_level(score_config: Config) -> None:
    parts, plugin = parts_of(score_config)
    learn(parts, 2)
    state, texts = plugin.state_dict(), parts.model.texts
    memory = plugin.memory(parts.benchmark.train_stream)
    scores = [float(memory[i][1]) for i in range(len(memory))]
    assert scores == pytest.approx(state["target"].tolist(), abs=1e-6)
    for score, prompt in zip(scores, state["prompt"].tolist(), strict=True):
        nearest = min(texts.values, key=lambda value: abs(value - score))
        assert texts.values[texts.owners[prompt]] == nearest


def pixels(image: Tensor) -> int:
    """Return what an image can be known by, flipped or not."""
    return hash(tuple(image.flatten().sort().values.tolist()))


def test_batches_bring_the_prompts_of_the_memory(
    class_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every remembered image is found again, with the prompt that it was put away with."""
    parts, plugin = parts_of(class_config)
    learn(parts, 2)
    images = plugin.memory(parts.benchmark.train_stream).eval()
    known = {pixels(images[i][0]): int(p) for i, p in enumerate(plugin._prompt)}
    seen: list[Tensor] = []
    calls = watched(plugin, monkeypatch)
    forward = parts.strategy.model.forward

    def watch(images: Tensor) -> Tensor:
        seen.append(images.clone())
        found: Tensor = forward(images)
        return found

    monkeypatch.setattr(parts.strategy.model, "forward", watch)
    parts.strategy.train_step(2, [parts.benchmark.train_stream[2]])
    found = 0
    for batch, (_, targets, prompts) in zip(seen, calls, strict=True):
        for image, target, prompt in zip(batch, targets, prompts, strict=True):
            assert parts.model.texts.owners[prompt] == target
            if target < 4:  # of an earlier experience
                assert known[pixels(image)] == prompt
                found += 1
    assert found > 20


def test_the_loss_is_that_of_the_steps_own_embeddings(
    class_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the images go through the backbone once."""
    parts, plugin = parts_of(class_config)
    strategy, passes = parts.strategy, []
    calls, losses = watched(plugin, monkeypatch), []
    backbone = strategy.model.backbone
    backbone.register_forward_hook(lambda *_: passes.append(strategy.mb_x))
    backward = strategy.backward

    def note() -> None:
        before = len(passes)
        with torch.no_grad():
            task = strategy._criterion(strategy.mb_output, strategy.mb_y)
            expected = strategy.model.embed_image(strategy.mb_x)
            part = plugin.alignment(strategy.model, expected, *calls[-1][1:])
        losses.append((float(strategy.loss.detach()), float(task + 0.5 * part)))
        assert torch.allclose(calls[-2][0], expected, atol=1e-6)
        del passes[before:]
        backward()

    monkeypatch.setattr(strategy, "backward", note)
    learn(parts, 2)
    assert len(passes) == len(losses) == len(calls) / 2
    for found, expected in losses:
        assert found == pytest.approx(expected, abs=1e-5)


PETS = CandidateTexts(("cat", "dog"), (("a cat.", "one cat."), ("a dog.",)))
LEVELS = CandidateTexts(("good", "bad"), (("Good.", "Fine."), ("Bad.",)), (1.0, 0.0))


@pytest.mark.parametrize(
    ("texts", "targets", "shares"),
    [
        (PETS, torch.tensor([0, 1, 0]), [[0.5, 0.5, 0], [0, 0, 1], [0.5, 0.5, 0]]),
        (
            LEVELS,
            torch.tensor([0.6, 0.1, 1.0]),
            [[0.3, 0.3, 0.4], [0.05, 0.05, 0.9], [0.5, 0.5, 0]],
        ),
    ],
)
def test_the_loss_is_what_plain_loops_give(
    texts: CandidateTexts, targets: Tensor, shares: list[list[float]]
) -> None:
    torch.manual_seed(0)
    model: Any = build_model(text_model(1, "fashion_mnist"))
    model.use_texts(texts)
    images = torch.nn.functional.normalize(torch.randn(3, 8), dim=1)
    found = TextReplay().alignment(model, images, targets, torch.tensor([0, 2, 1]))
    vectors, scale = model.embed_text().detach(), model.head.scale.detach()
    fit = [[math.exp(float(scale * (x @ t))) for t in vectors] for x in images]
    rows = cols = 0.0
    for b in range(3):
        for t in range(3):
            rows -= shares[b][t] * math.log(fit[b][t] / sum(fit[b])) / 3
            whole = sum(shares[i][t] for i in range(3))
            column = sum(fit[i][t] for i in range(3))
            cols -= shares[b][t] / whole * math.log(fit[b][t] / column) / 3
    assert float(found.detach()) == pytest.approx((rows + cols) / 2, rel=1e-4)


def test_on_the_memory_alone(class_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    class_config["cl_strategy"]["on"] = "memory"
    parts, plugin = parts_of(class_config)
    calls = watched(plugin, monkeypatch)
    learn(parts, 1)
    assert not calls
    parts.strategy.train_step(1, [parts.benchmark.train_stream[1]])
    assert calls
    assert all(
        (targets < 2).all() and len(targets) == len(prompts) for _, targets, prompts in calls
    )


def test_new_samples_get_other_prompts_every_epoch_and_the_same_in_every_run(
    class_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws: list[list[Tensor]] = []
    for _ in range(2):
        parts, plugin = parts_of(copy.deepcopy(class_config))
        mine: list[Tensor] = []
        parts.strategy.on_epoch = lambda _, mine=mine, plugin=plugin: mine.append(plugin._draws)
        learn(parts, 1)
        draws.append(mine)
    assert len(draws[0]) == 2
    assert not torch.equal(draws[0][0], draws[0][1])
    assert all(torch.equal(a, b) for a, b in zip(*draws, strict=True))


def test_a_teacher_does_not_report_to_the_student(class_config: Config) -> None:
    class_config["cl_strategy"]["plugins"] = [{"type": "LwF"}]
    parts, plugin = parts_of(class_config)
    learn(parts, 2)
    lwf = next(p for p in parts.strategy.plugins if isinstance(p, LwF))
    teacher: Any = lwf.teacher(parts.model)
    for model in (parts.model, teacher):
        assert not model.head._forward_hooks
    assert len(plugin._images) == 1


def test_a_stopped_run_ends_with_the_same_bits(
    any_config: Config, run_config: Run, assert_same: Callable[[Any, Any], None]
) -> None:
    config = any_config
    config["checkpoint_config"] = {"interval": 1}
    whole = run_config(config, "whole")
    final = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)
    places = sorted((whole / "checkpoints").glob("exp_*.pth"))
    for place in places[1:2]:
        folder = run_config(copy.deepcopy(config), place.stem, resume=str(place))
        state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
        assert_same(state["strategy"], final["strategy"])


@pytest.mark.parametrize(
    "plugins",
    [
        [{"type": "EWC", "n_samples": 8}],
        [{"type": "LoRA", "rank": 2}, {"type": "L2"}],
    ],
    ids=["EWC", "LoRA, L2"],
)
def test_it_goes_with_other_methods(
    plugins: list[Config], class_config: Config, run_config: Run
) -> None:
    class_config["cl_strategy"]["plugins"] = plugins
    class_config["scenario"]["n_experiences"] = 2
    assert (run_config(class_config) / "results.json").is_file()


def test_in_a_clear_stream(clear_config: Config, run_config: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    names = build(clear_config, torch.device("cpu")).benchmark.class_names
    own.write_text("classes:\n" + "".join(f"  {name}: {name}\n" for name in names))
    clear_config["model"] = text_model(3, str(own))
    clear_config["cl_strategy"] |= {"type": "TextReplay", "mem_size": 9, "train_epochs": 1}
    state = torch.load(run_config(clear_config) / "checkpoints" / "last.pth", weights_only=True)
    (memory,) = (s for k, s in state["strategy"]["plugins"].items() if k.endswith("TextReplay"))
    assert len(memory["prompt"]) == len(memory["target"]) == 9


@pytest.mark.slow
def test_a_stream_that_grows_ends_with_the_same_bits(
    clear_config: Config,
    run_config: Run,
    tmp_path: Path,
    assert_same: Callable[[Any, Any], None],
) -> None:
    own = tmp_path / "own.yaml"
    names = build(clear_config, torch.device("cpu")).benchmark.class_names
    own.write_text("classes:\n" + "".join(f"  {name}: {name}\n" for name in names))
    clear_config["model"] = text_model(3, str(own))
    clear_config["cl_strategy"] |= {"type": "TextReplay", "mem_size": 9, "train_epochs": 1}
    shorter = copy.deepcopy(clear_config)
    shorter["scenario"]["buckets"] = [1, 2]
    clear_config["scenario"]["buckets"] = [1, 2, 3]
    whole = run_config(copy.deepcopy(clear_config), "whole")
    run_config(shorter, "grown")
    grown = run_config(clear_config, "grown", extend=True)
    final, state = (
        torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
        for folder in (whole, grown)
    )
    assert_same(state["strategy"], final["strategy"])
    assert (whole / "matrix.csv").read_bytes() == (grown / "matrix.csv").read_bytes()


def test_a_model_without_texts_is_refused(split_config: Config) -> None:
    split_config["cl_strategy"]["type"] = "TextReplay"
    message = r"TextReplay: a \w+ has no texts\. Use model\.type='ImageTextModel' or 'FusionMod"
    with pytest.raises(ConfigError, match=message):
        build(split_config, torch.device("cpu"))


def test_a_second_memory_is_refused(class_config: Config) -> None:
    class_config["cl_strategy"]["plugins"] = [{"type": "Replay"}]
    with pytest.raises(ConfigError, match="Replay adds a second memory to the batches"):
        build(class_config, torch.device("cpu"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": -1.0}, r"beta must be >= 0, got -1\.0"),
        ({"beta": float("nan")}, "beta must be >= 0, got nan"),
        ({"text_weight": 2.0}, r"text_weight must lie in 0\.\.1, got 2\.0"),
        ({"on": "new"}, "on must be one of 'all', 'memory', got 'new'"),
        ({"mem_size": 0}, "mem_size must be an integer >= 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TextReplay(**arguments)


def test_a_samples_vector_is_the_mean_of_its_own_crops() -> None:
    crops = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)  # three of each sample
    found = _of_samples(crops, 2)
    for sample in range(2):
        mean = crops[3 * sample : 3 * sample + 3].mean(dim=0)
        assert torch.allclose(found[sample], mean / mean.norm())


ANIMALS = CandidateTexts(("cat", "dog"), (("a cat.", "one cat.", "cats."), ("a dog.",)))
THREE_LEVELS = CandidateTexts(
    ("good", "fair", "bad"), (("Good.", "Fine."), ("Fair.",), ("Bad.", "Poor.")), (1.0, 0.5, 0.0)
)


def test_a_class_is_wholly_its_own() -> None:
    found = candidate_shares(ANIMALS, torch.tensor([1, 0]))
    assert found.tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_a_score_is_shared_by_the_levels_about_it() -> None:
    found = candidate_shares(THREE_LEVELS, torch.tensor([0.6, 0.0], dtype=torch.float64))
    assert torch.allclose(found, torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]]))


def test_every_prompt_of_the_class_is_drawn_as_often() -> None:
    draws = torch.rand(6000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = drawn_prompts(ANIMALS, torch.zeros(6000), draws).bincount(minlength=4).tolist()
    assert counts[3] == 0
    assert counts[:3] == pytest.approx([2000] * 3, rel=0.06)
    highest = torch.full((2,), 1 - 2**-53, dtype=torch.float64)
    assert drawn_prompts(ANIMALS, torch.tensor([0, 1]), highest).tolist() == [2, 3]


def test_a_score_gets_a_prompt_of_the_level_next_to_it() -> None:
    scores = torch.tensor([0.9, 0.7, 0.3, 0.2, 0.0])
    assert drawn_prompts(THREE_LEVELS, scores, torch.full((5,), 0.6)).tolist() == [1, 2, 2, 4, 4]


def test_prompts_of_one_class_are_all_its_positives() -> None:
    found = prompt_positives(ANIMALS, torch.tensor([0, 1]), torch.tensor([0, 2, 3]))
    assert found.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


def test_prompts_of_a_level_share_what_belongs_to_it() -> None:
    found = prompt_positives(THREE_LEVELS, torch.tensor([0.6, 0.25]), torch.tensor([0, 1, 2, 4]))
    expected = torch.tensor([[0.1, 0.1, 0.8, 0.0], [0.0, 0.0, 0.5, 0.5]])
    assert torch.allclose(found, expected)
    without = prompt_positives(THREE_LEVELS, torch.tensor([0.6]), torch.tensor([2]))
    assert torch.allclose(without, torch.tensor([[0.8]]))

"""Rehearsal on synthetic degradations: what is kept, what is added to the loss, the state."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.benchmarks.samples import with_transforms
from cliqa.engine.build import build
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.teachers.ladder_rehearsal import LadderRehearsal
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ConfigError, DatasetError

Make = Callable[..., Any]

QUICK: dict[str, Any] = {
    "families": ["blur", "darken"],
    **{"probe": 6, "levels": 2, "threshold": 0.5, "strength": 1.0},
}


def small(**arguments: Any) -> LadderRehearsal:
    """Return the plugin with two families, few images, and these arguments."""
    return LadderRehearsal(**{**QUICK, **arguments})


def trained(make_strategy: Make, stream: QualityStream, plugins: list[Any], steps: int = 2) -> Any:
    """Return a strategy after some experiences of the stream."""
    strategy = make_strategy(plugins)
    for index, step in enumerate(strategy.steps(stream.train_stream)[:steps]):
        strategy.train_step(index, step)
    return strategy


class Light(nn.Module):
    """Scores (B,) that are a factor times the mean of the images."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1, bias=False)
        self.head.weight.data.fill_(factor)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(images.mean(dim=(1, 2, 3))[:, None])[:, 0]
        return scores


class _Probe:
    """Notes the loss that the plugin adds, and the images that the models get."""

    def __init__(self, strategy: Any) -> None:
        self.seen: list[Tensor] = []
        strategy.model.register_forward_pre_hook(lambda _, inputs: self.seen.append(inputs[0]))


def begin(strategy: Any, stream: QualityStream, plugin: LadderRehearsal, teacher: nn.Module) -> Any:
    """Return a strategy at a batch of the second experience, with a teacher of one's own."""
    plugin._teacher.take(teacher)
    strategy.model.eval()
    strategy.experience = stream.train_stream[1]
    strategy.adapted_dataset = strategy.experience.dataset
    strategy.step_index = 1
    plugin.before_training_exp(strategy)
    strategy.make_train_dataloader()
    torch.manual_seed(3)
    strategy.mbatch = next(iter(strategy.dataloader))
    strategy.loss = torch.zeros(())
    return strategy


# -------------------------------------------------------------------- which families


def test_a_family_is_kept_if_the_teacher_ranks_it_rightly_and_only_then(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(families=["darken", "brighten", "blur"], threshold=0.9)
    begin(make_strategy([plugin]), tiny_stream, plugin, Light())
    assert plugin.kept(1) == ["darken"]  # a teacher of light: brighter is better, blur no matter
    rows = {row["family"]: row for row in plugin.rows}
    assert rows["darken"]["rank_accuracy"] == 1
    assert rows["darken"]["drop"] == pytest.approx(0.8 * 0.62, abs=0.05)  # to a fifth of the light
    assert rows["darken"]["reason"] == ""
    assert rows["brighten"]["rank_accuracy"] == 0
    assert rows["brighten"]["reason"] == "rank accuracy 0.000 < 0.9"
    assert {row["pairs"] for row in plugin.rows} == {6 * 3}  # three levels with the image itself
    assert {row["experience"] for row in plugin.rows} == {1}
    assert plugin.records()[0] == {"kind": "rehearsal", **plugin.rows[0]}


def test_the_other_order_is_kept_by_the_opposite_teacher(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(families=["darken", "brighten"])
    begin(make_strategy([plugin]), tiny_stream, plugin, Light(-1.0))
    assert plugin.kept(1) == ["brighten"]


def test_families_are_tried_on_the_better_images_alone(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    seen = []
    plugin = small(probe=100, better=0.25)

    class Watch(Light):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return super().forward(images)

    teacher = Watch()
    plugin._teacher.of = lambda _: teacher  # type: ignore[method-assign, assignment]
    begin(make_strategy([plugin]), tiny_stream, plugin, teacher)
    data = tiny_stream.train_stream[1].dataset
    scores = torch.as_tensor(list(data.targets))
    better = int((scores >= scores.double().quantile(0.75)).sum())
    assert sum(len(images) for images in seen) == 2 * 3 * better - 0  # families, levels
    assert better == pytest.approx(len(scores) / 4, abs=1)


def test_without_a_family_there_is_a_warning_and_fine_tuning(
    make_strategy: Make,
    tiny_stream: QualityStream,
    assert_same: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugin = small(families=["blur"], threshold=1.0)
    with caplog.at_level(logging.WARNING):
        strategy = trained(make_strategy, tiny_stream, [plugin])
    assert "ranks no family of degradations rightly (blur 0." in caplog.text
    naive = trained(make_strategy, tiny_stream, [])
    assert_same(strategy.model.state_dict(), naive.model.state_dict())


def test_what_is_kept_is_logged(
    make_strategy: Make, tiny_stream: QualityStream, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = small(families=["darken", "brighten"])
    with caplog.at_level(logging.INFO):
        begin(make_strategy([plugin]), tiny_stream, plugin, Light())
    assert "b: rehearses (rank accuracy) darken 1.00; not: brighten 0.00" in caplog.text


def test_a_family_of_colours_is_left_out_of_grey_images_unless_it_is_named(
    make_strategy: Make, tiny_stream: QualityStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = build_pipeline([{"type": "Grayscale"}, {"type": "ToTensor"}], "eval", quality=False)
    data = with_transforms(tiny_stream.sources["b", "train"], grey, grey).train()
    monkeypatch.setattr(tiny_stream.train_stream[1], "_dataset", data)
    everything, named = LadderRehearsal(probe=2, levels=2), small(families=["saturation"])
    begin(make_strategy([everything]), tiny_stream, everything, Light())
    rows = {row["family"]: row for row in everything.rows}
    assert rows["saturation"]["rank_accuracy"] is None
    assert "only RGB has colours" in rows["saturation"]["reason"]
    assert rows["darken"]["kept"]
    with pytest.raises(DatasetError, match="'saturation': the image has 1 channels"):
        begin(make_strategy([named]), tiny_stream, named, Light())


# -------------------------------------------------------------------- what is added to the loss


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        ("mse", lambda gap: gap.square().mean()),
        ("l1", lambda gap: gap.abs().mean()),
        ("pairs", lambda gap: 2 * gap.var(unbiased=False)),
    ],
)
def test_the_loss_gets_the_distance_from_the_teacher_on_the_copies(
    distance: str,
    expected: Callable[[Tensor], Tensor],
    make_strategy: Make,
    tiny_stream: QualityStream,
) -> None:
    plugin = small(strength=3.0, distance=distance, copies=5)
    strategy = begin(make_strategy([plugin]), tiny_stream, plugin, Light())
    probe = _Probe(strategy)
    plugin.before_backward(strategy)
    (copies,) = probe.seen  # one pass of the student
    assert copies.shape == (5, 3, 12, 12)
    gap = strategy.model(copies) - Light()(copies)
    assert float(strategy.loss.detach()) == pytest.approx(
        3 * float(expected(gap.detach())), rel=1e-5
    )
    strategy.loss.backward()
    assert all(w.grad is not None for w in strategy.model.parameters())


def test_features_add_their_distance_relative_to_the_spread_of_the_teachers(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(features=0.5, copies=6, distance="mse")
    teacher = copy.deepcopy(make_strategy([]).model)
    for weight in teacher.parameters():
        weight.data += 0.1
    strategy = begin(make_strategy([plugin]), tiny_stream, plugin, teacher)
    probe = _Probe(strategy)
    plugin.before_backward(strategy)
    student, teacher = strategy.model, teacher.eval()
    copies = probe.seen[0]
    now, then = student.body(copies), teacher.body(copies)
    features = F.mse_loss(now, then) / then.var(dim=0, unbiased=False).mean()
    outputs = F.mse_loss(student(copies), teacher(copies))
    assert float(strategy.loss.detach()) == pytest.approx(
        float((outputs + 0.5 * features).detach()), rel=1e-4
    )
    assert not student.head._forward_pre_hooks


def test_a_student_like_its_teacher_has_no_distance(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(features=1.0, threshold=0.5, families=["darken"])
    strategy = make_strategy([plugin])
    strategy.model = Light()
    begin(strategy, tiny_stream, plugin, strategy.model)
    plugin.before_backward(strategy)
    assert float(strategy.loss) == 0


def test_copies_are_degraded_better_images_in_the_models_normalisation(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(families=["darken"], copies=20)
    strategy = begin(make_strategy([plugin]), tiny_stream, plugin, Light())
    scores, images = strategy.mb_y, strategy.mb_x
    better = images[scores >= plugin._least]
    assert 0 < len(better) < len(images)
    probe = _Probe(strategy)
    plugin.before_backward(strategy)
    for one in probe.seen[0]:  # each is some better image times a factor of 0.2 to 0.8
        factors = [float((one / image.clamp(min=1e-3)).median()) for image in better]
        errors = [
            float((one - f * image).abs().max()) for f, image in zip(factors, better, strict=True)
        ]
        best = min(range(len(better)), key=errors.__getitem__)
        assert errors[best] < 1e-4
        assert 0.19 < factors[best] < 0.81


def test_crops_of_an_image_are_degraded_one_at_a_time(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(families=["darken"])
    strategy = begin(make_strategy([plugin]), tiny_stream, plugin, Light())
    images = strategy.mb_x
    strategy.mbatch = [torch.stack([images, images.flip(3)], dim=1), strategy.mb_y]
    probe = _Probe(strategy)
    plugin.before_backward(strategy)
    assert probe.seen[0].shape == images.shape
    assert torch.isfinite(strategy.loss)


def test_a_batch_without_a_better_image_uses_its_best(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(families=["darken"], copies=3)
    strategy = begin(make_strategy([plugin]), tiny_stream, plugin, Light())
    strategy.mbatch = [strategy.mb_x, torch.linspace(-3, -2, len(strategy.mb_y))]
    probe = _Probe(strategy)
    plugin.before_backward(strategy)
    ratios = probe.seen[0] / strategy.mb_x[-1].clamp(min=1e-3)
    assert all(float(one.std()) < 0.02 for one in ratios)


# -------------------------------------------------------------------- the run


def test_the_first_experience_and_strength_0_are_naive_to_the_bit(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[..., None]
) -> None:
    first = trained(make_strategy, tiny_stream, [small()], steps=1)
    assert_same(
        first.model.state_dict(), trained(make_strategy, tiny_stream, [], 1).model.state_dict()
    )
    off, naive = (trained(make_strategy, tiny_stream, p, 3) for p in ([small(strength=0)], []))
    assert_same(off.model.state_dict(), naive.model.state_dict())
    assert off.plugins[0].state_dict() == {"rows": [], "teacher": {}}


def test_it_changes_the_training_from_the_second_experience_on(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    one, other = (trained(make_strategy, tiny_stream, p) for p in ([small()], []))
    assert not torch.equal(one.model.head.weight, other.model.head.weight)


def test_the_state_is_the_teacher_and_the_findings_and_holds_no_image(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[..., None]
) -> None:
    plugin = small()
    strategy = trained(make_strategy, tiny_stream, [plugin], steps=3)
    state = plugin.state_dict()
    assert list(state) == ["rows", "teacher"]
    assert_same(state["teacher"]["weights"], strategy.model.state_dict())  # of the last experience
    assert state["teacher"]["pruned"] == 0
    plain = (str, int, float, bool, type(None))
    assert len(state["rows"]) == 2 * 2  # two families before two data sets
    assert all(isinstance(value, plain) for row in state["rows"] for value in row.values())
    held = [v for v in vars(plugin).values() if isinstance(v, Tensor | AvalancheDataset)]
    assert held == []  # nor does the plugin itself hold any


@pytest.mark.parametrize("arguments", [{}, {"features": 0.1, "distance": "pairs", "copies": 3}])
def test_a_resumed_run_ends_with_the_same_bits(
    arguments: dict[str, Any],
    make_strategy: Make,
    short_stream: QualityStream,
    assert_resumable: Callable[..., None],
) -> None:
    assert_resumable(
        lambda: make_strategy([small(**arguments)], schedule={"type": "CosineLR"}),
        short_stream,
        every=2,
    )


def test_it_goes_with_memories(
    make_strategy: Make, short_stream: QualityStream, assert_resumable: Callable[..., None]
) -> None:
    def make() -> Any:
        return make_strategy([Replay(mem_size=6), DER(mem_size=6), small()])

    assert_resumable(make, short_stream, every=4)


@pytest.mark.parametrize("options", [{"amp": "bfloat16"}, {"accumulate": 2}])
def test_mixed_precision_and_accumulation(
    options: dict[str, Any], make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy([small(features=0.1)], **options)
    for index, step in enumerate(strategy.steps(tiny_stream.train_stream)[:2]):
        strategy.train_step(index, step)
    assert all(w.isfinite().all() for w in strategy.model.parameters())


def test_cumulative_training_has_it_too(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy([small()], cls=Cumulative)
    for index, step in enumerate(strategy.steps(tiny_stream.train_stream)[:2]):
        strategy.train_step(index, step)
    assert len(strategy.plugins[0].rows) == 2


def test_images_of_several_sizes_and_crops_are_tried(tiny_config: dict[str, Any]) -> None:
    steps = [{"type": "GridCrop", "size": 8, "rows": 2, "columns": 1}, {"type": "ToTensor"}]
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    for key, start in (("eval_transform", steps), ("train_transform", steps[1:])):
        tiny_config["scenario"][key] = [*start, {"type": "Normalize", "mean": mean, "std": std}]
    section = tiny_config["cl_strategy"]
    tiny_config["cl_strategy"] = {
        "type": "LadderRehearsal", **QUICK, "train_epochs": 1,
        **{key: section[key] for key in ("train_mb_size", "eval_mb_size", "loss", "optimizer")},
    }  # fmt: skip
    parts = build(tiny_config, torch.device("cpu"))
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)):
        parts.strategy.train_step(index, step)
    plugin = parts.strategy.plugins[0]
    assert plugin._normalisation.mean == tuple(mean)
    assert [row["pairs"] for row in plugin.rows] == [18, 18]


def test_metrics_of_a_run_have_what_was_found_out(
    tiny_config: dict[str, Any], run_config: Callable[..., Path]
) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    section = tiny_config["cl_strategy"]
    kept = {k: section[k] for k in ("train_mb_size", "eval_mb_size", "loss", "optimizer")}
    tiny_config["cl_strategy"] = {"type": "LadderRehearsal", **QUICK, "train_epochs": 1, **kept}
    folder = run_config(tiny_config)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = [row for row in rows if row["kind"] == "rehearsal"]
    assert [(row["experience"], row["family"]) for row in found] == [(1, "blur"), (1, "darken")]
    assert all(row["kept"] == (row["rank_accuracy"] >= 0.5) for row in found)
    assert {row["threshold"] for row in found} == {0.5}


# -------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -1}, "LadderRehearsal: strength must be >= 0, got -1"),
        ({"threshold": 0.3}, r"threshold must be in 0\.5\.\.1 \(0\.5 is chance\), got 0\.3"),
        ({"better": 0}, r"better must be a share in 0\.\.1, and not 0, got 0"),
        ({"copies": 0}, "copies must be an integer >= 1, got 0"),
        ({"probe": 0}, "probe must be an integer >= 1"),
        ({"distance": "mae"}, "distance must be one of 'pairs', 'mse', 'l1', got 'mae'"),
        ({"families": ["blurr"]}, "unknown degradation 'blurr'. Did you mean 'blur'"),
        ({"families": "blur"}, "families='blur': expected a list of degradations"),
        ({"families": ["brightness"]}, "'brightness' does not rise from level to level"),
        ({"mean": [0.5]}, "give mean and std both, or neither"),
        ({"mean": [0.5], "std": [0.0]}, "one positive std per mean is needed"),
    ],
)
def test_mistakes_in_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LadderRehearsal(**arguments)


def test_classes_are_refused_before_training(split_config: dict[str, Any]) -> None:
    section = split_config["cl_strategy"]
    kept = {k: section[k] for k in ("train_mb_size", "eval_mb_size", "loss", "optimizer")}
    split_config["cl_strategy"] = {"type": "LadderRehearsal", "train_epochs": 1, **kept}
    parts = build(split_config, torch.device("cpu"))
    with pytest.raises(ConfigError, match="these samples have classes. Use 'LwF', 'Replay' or"):
        parts.strategy.train_step(0, parts.strategy.steps(parts.benchmark.train_stream)[0])


def test_another_normalisation_is_refused_before_training(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(mean=[0.5], std=[5.0])
    with pytest.raises(ConfigError, match=r"pixels in .* instead of 0\.\.1. Give those of your"):
        trained(make_strategy, tiny_stream, [plugin], 1)


def test_a_data_set_without_targets_is_refused(
    make_strategy: Make, tiny_stream: QualityStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_stream.train_stream[0].dataset
    pairs = AvalancheDataset([[data[k] for k in range(4)]])
    monkeypatch.setattr(tiny_stream.train_stream[0], "_dataset", pairs)
    with pytest.raises(ConfigError, match=r"Give it a DataAttribute\(scores, 'targets'\)"):
        trained(make_strategy, tiny_stream, [small()], 1)


def test_precomputed_features_are_refused(
    make_strategy: Make, tiny_stream: QualityStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = DataAttribute([0.1, 0.4, 0.9], "targets")
    rows = [(torch.rand(5), torch.tensor(score)) for score in targets]
    vectors = AvalancheDataset([rows], data_attributes=[targets])
    monkeypatch.setattr(tiny_stream.train_stream[0], "_dataset", vectors)
    with pytest.raises(ConfigError, match=r"the samples are \(5,\). Use a scenario of images"):
        trained(make_strategy, tiny_stream, [small()], 1)


def test_a_model_without_a_head_has_no_features_to_compare(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    plugin = small(features=1.0, families=["darken"])
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 1), nn.Flatten(0))
    plugin.features = 1.0
    strategy = begin(make_strategy([plugin]), tiny_stream, plugin, Light())
    plugin._teacher.take(teacher)
    with pytest.raises(ConfigError, match="a Sequential has no module 'head'. Use features=0"):
        plugin.before_backward(strategy)

"""Adapters learn the stream; the network's own weights keep their bits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.lora.adapters import lora_layers, lora_parameters
from cliqa.training.adapter_memory import InterferenceFree, input_rows
from cliqa.training.loop.batching import apply_model
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.isolation.lora import LoRA
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.views.views import tensors_of
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]
Learn = Callable[..., None]
Outputs = Callable[[Any, Any], dict[str, torch.Tensor]]
Said = Callable[[Any, Any], list[dict[str, torch.Tensor]]]
MODES = ("shared", "per_task", "sum", "olora", "inflora")


class Net(nn.Module):
    """Convolutions with and without groups, batch and layer norm, dropout, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, groups=2)
        self.hidden = nn.Linear(8, 12)
        self.layer = nn.LayerNorm(12)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(12, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.deep(self.norm(self.conv(images)).relu()).relu().mean((2, 3))
        return self.drop(self.layer(self.hidden(maps)).relu())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))[:, 0]


BASE = {"conv.weight", "deep.weight", "deep.bias", "hidden.weight", "hidden.bias"}
HEAD = {"head.weight", "head.bias"}
STATISTICS = {f"norm.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
NORMS = STATISTICS | {f"{part}.{name}" for part in ("norm", "layer") for name in ("weight", "bias")}
ADAPTED = ("conv", "deep", "hidden")

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-2),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
}


@pytest.fixture
def make(make_strategy: Make) -> Make:
    """Return a function that builds a strategy with `LoRA` over a `Net`."""

    def build(optimizer: str = "AdamW", more: Any = (), **arguments: Any) -> Any:
        options = {k: arguments.pop(k) for k in ("amp",) if k in arguments}
        plugin = LoRA(**{"rank": 3, **arguments})
        strategy = make_strategy([plugin, *more])
        torch.manual_seed(0)
        strategy.model = Net()
        plugin.prepare(strategy.model)
        trained = [p for p in strategy.model.parameters() if p.requires_grad]
        strategy.optimizer = OPTIMIZERS[optimizer](trained)
        strategy.configure(TrainingOptions(seed=1, **options), Schedule(None))
        return strategy

    return build


def changed(strategy: Any, before: dict[str, torch.Tensor]) -> set[str]:
    after = strategy.model.state_dict()
    return {name for name, value in before.items() if not torch.equal(after[name], value)}


# -------------------------------------------------------------------- what trains


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", ["frozen", "train"])
def test_the_networks_own_weights_keep_their_bits(
    mode: str, norm: str, optimizer: str, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    """Under momentum and weight decay, too."""
    strategy = make(optimizer, mode=mode, norm=norm)
    before = copy.deepcopy(strategy.model.state_dict())
    learn(strategy, tiny_stream)
    moved = changed(strategy, before)
    assert not moved & BASE
    assert moved >= HEAD
    assert moved & NORMS == (NORMS if norm == "train" else set())
    for name in ADAPTED:
        own = "lora_sum" if mode in ("sum", "olora", "inflora") else "lora_B"
        assert f"{name}.{own}" in moved


@pytest.mark.parametrize("mode", MODES)
def test_the_first_experience_can_train_everything(
    mode: str, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy = make(mode=mode, first="full")
    before = copy.deepcopy(strategy.model.state_dict())
    learn(strategy, tiny_stream, 0, 1)
    moved = changed(strategy, before)
    assert {name for name in moved if "lora_A" not in name} == BASE | NORMS | HEAD
    assert not any(layer.delta().any() for layer in lora_layers(strategy.model).values())
    before = copy.deepcopy(strategy.model.state_dict())
    learn(strategy, tiny_stream, 1, 3)
    moved = changed(strategy, before)
    assert not moved & (BASE | NORMS)
    assert any("lora" in name for name in moved)


def test_a_full_first_experience_is_naive(
    make: Make, make_strategy: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy, naive = make(first="full"), make_strategy()
    torch.manual_seed(0)
    naive.model = Net()
    naive.optimizer = OPTIMIZERS["AdamW"](naive.model.parameters())
    naive.configure(TrainingOptions(seed=1), Schedule(None))
    for each in (strategy, naive):
        learn(each, tiny_stream, 0, 1)
    found = strategy.model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in naive.model.state_dict().items())


def test_what_the_model_itself_has_frozen_stays(
    make_strategy: Make, tiny_stream: Any, learn: Learn
) -> None:
    plugin = LoRA(first="full")
    strategy = make_strategy([plugin])
    strategy.model = Net()
    strategy.model.hidden.weight.requires_grad_(False)
    before = strategy.model.hidden.weight.clone()
    plugin.prepare(strategy.model)
    strategy.optimizer = OPTIMIZERS["AdamW"](strategy.model.parameters())
    learn(strategy, tiny_stream, 0, 2)
    assert torch.equal(strategy.model.hidden.base_weight, before)


def test_trainable_parameters_are_logged_once(
    make: Make, tiny_stream: Any, caplog: pytest.LogCaptureFixture, learn: Learn
) -> None:
    caplog.set_level("INFO")
    strategy = make(rank=1, targets="linear")
    learn(strategy, tiny_stream, 0, 2)
    whole = sum(p.numel() for p in Net().parameters()) + 8 + 12
    told = [m for m in caplog.messages if "parameters train" in m]
    assert told == [f"LoRA: {8 + 12 + 13} of {whole} parameters train ({33 / whole:.1%})."]


# -------------------------------------------------------------------- views


@pytest.mark.parametrize("start", ["fresh", "last"])
@pytest.mark.parametrize("first", ["adapters", "full"])
@pytest.mark.parametrize("norm", ["frozen", "train"])
def test_earlier_outputs_are_the_same_to_the_bit(
    start: str, first: str, norm: str, make: Make, tiny_stream: Any, outputs_after_each: Said
) -> None:
    strategy = make(mode="per_task", inference="oracle", start=start, first=first, norm=norm)
    one, two, three = outputs_after_each(strategy, tiny_stream)
    assert torch.equal(two["a"], one["a"])
    assert torch.equal(three["a"], one["a"])
    assert torch.equal(three["b"], two["b"])
    assert not torch.equal(three["c"], two["c"])


@pytest.mark.parametrize("start", ["fresh", "last"])
def test_where_a_new_adapter_starts(start: str, make: Make, tiny_stream: Any, learn: Learn) -> None:
    strategy = make(mode="per_task", start=start)
    learn(strategy, tiny_stream, 0, 1)
    old = {n: p.detach().clone() for n, p in lora_parameters(strategy.model).items()}
    strategy.train_epochs = 0
    learn(strategy, tiny_stream, 1, 2)
    new = lora_parameters(strategy.model)
    for name, value in old.items():
        assert torch.equal(new[name], value) is (start == "last")
        if start == "fresh" and name.endswith("lora_B"):
            assert not new[name].any()


def test_the_gate_weights_the_views(
    make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    strategy = make(mode="per_task", inference="gate")
    learn(strategy, tiny_stream)
    plugin = strategy.plugins[0]
    images = torch.stack([tiny_stream.test_stream[1].dataset[i][0] for i in range(4)])
    model = copy.deepcopy(strategy.model).eval()
    parts = []
    with torch.no_grad():
        for view in range(3):
            plugin.show(model, view)
            parts.append(apply_model(model, images))
        expected = (torch.stack(parts, dim=1) * plugin.gate.weights(images)).sum(1)
    before = copy.deepcopy(strategy.model.state_dict())
    assert torch.allclose(outputs(strategy, tiny_stream)["b"][:4], expected, atol=1e-5)
    assert not changed(strategy, before)


# -------------------------------------------------------------------- sums


def test_a_sum_has_all_adapters_and_computes_the_same(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy = make(mode="sum")
    layers = lora_layers(strategy.model)
    expected = {name: torch.zeros_like(layer.delta()) for name, layer in layers.items()}
    before: dict[str, torch.Tensor] = {}

    def note(_: float) -> None:
        if strategy.epochs_done == 2:
            for name, layer in layers.items():
                expected[name] += layer.delta().detach()
                before[name] = layer.weight.detach().clone()

    strategy.on_epoch = note
    for index in range(3):
        learn(strategy, tiny_stream, index, index + 1)
        for name, layer in layers.items():
            assert layer.lora_sum is not None
            assert torch.allclose(layer.lora_sum, expected[name], atol=1e-7)
            assert torch.allclose(layer.weight, before[name], atol=1e-6)
            assert not layer.lora_B.any()


def test_o_lora_adds_the_papers_penalty(make: Make, tiny_stream: Any, learn: Learn) -> None:
    strategy = make(mode="olora", orthogonality=0.3)
    plugin = strategy.plugins[0]
    memory, layers = plugin._memory, lora_layers(strategy.model)
    assert memory.penalty(layers) is None
    rows: list[dict[str, torch.Tensor]] = []
    for index in range(2):
        learn(strategy, tiny_stream, index, index + 1)
        rows.append({n: layer.lora_A.detach().clone() for n, layer in layers.items()})
    for layer in layers.values():
        layer.renew(torch.Generator().manual_seed(5))
    expected = 0.0
    for earlier in rows:
        for name, layer in layers.items():
            new, old = layer.lora_A.detach(), earlier[name]
            groups = 2 if name == "deep" else 1
            for a, b in zip(old.chunk(groups), new.chunk(groups), strict=True):
                expected += float((a.flatten(1) @ b.flatten(1).T).norm() ** 2)
    assert memory.penalty(layers).item() == pytest.approx(0.3 * expected, rel=1e-5)


def test_orthogonal_adapters_cost_nothing(make: Make, tiny_stream: Any, learn: Learn) -> None:
    strategy = make(mode="olora", targets="hidden")
    learn(strategy, tiny_stream, 0, 1)
    layers = lora_layers(strategy.model)
    old = layers["hidden"].lora_A.detach()  # (3, 8)
    free = torch.linalg.svd(old).Vh[3:6]
    with torch.no_grad():
        layers["hidden"].lora_A.copy_(free)
    penalty = strategy.plugins[0]._memory.penalty(layers)
    assert penalty.item() == pytest.approx(0.0, abs=1e-10)


def test_a_great_penalty_makes_adapters_orthogonal(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    overlap = {}
    for strength in (0.0, 100.0):
        strategy = make(mode="olora", orthogonality=strength, targets="hidden")
        strategy.train_epochs = 10
        learn(strategy, tiny_stream, 0, 2)
        first, second = strategy.plugins[0]._memory.state_dict()["rows"]["hidden"][0].split(3)
        overlap[strength] = float((first @ second.T).norm())
    assert overlap[100.0] < 0.3 * overlap[0.0]


def test_without_a_penalty_o_lora_is_the_sum(
    make: Make, tiny_stream: Any, assert_same: Callable[..., None], learn: Learn
) -> None:
    plain, free = make(mode="sum"), make(mode="olora", orthogonality=0.0)
    for strategy in (plain, free):
        learn(strategy, tiny_stream)
    assert_same(free.model.state_dict(), plain.model.state_dict())


# -------------------------------------------------------------------- InfLoRA


def inputs_of(strategy: Any, data: Any) -> dict[str, torch.Tensor]:
    """Return what each adapted layer is given for a data set, (G, N, n)."""
    found: dict[str, torch.Tensor] = {}
    layers = lora_layers(strategy.model)
    hooks = [
        layer.register_forward_pre_hook(
            lambda module, given, name=name: found.update({name: input_rows(module, given[0])})
        )
        for name, layer in layers.items()
    ]
    with torch.no_grad():
        strategy.model.eval()(torch.stack([data[i][0] for i in range(len(data))]))
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("first", ["adapters", "full"])
def test_an_inflora_adapter_does_nothing_to_earlier_inputs(
    first: str, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    """Their span is captured whole here: ten images, and wide layers."""
    strategy = over_wide(make(mode="inflora", threshold=1.0, first=first))
    learn(strategy, tiny_stream, 0, 1)
    layers = lora_layers(strategy.model)
    data = tiny_stream.train_stream[0].dataset.eval()
    old = inputs_of(strategy, data)
    sums = {
        name: layer.lora_sum.clone() for name, layer in layers.items() if layer.lora_sum is not None
    }
    learn(strategy, tiny_stream, 1, 2)
    for name, layer in layers.items():
        assert layer.lora_sum is not None
        delta = (layer.lora_sum - sums[name]).flatten(1)
        rows = old[name][0]
        assert float(delta.norm()) > 1e-3
        assert float((rows @ delta.T).norm() / rows.norm()) < 1e-4
        other = torch.randn_like(rows)
        assert float((other @ delta.T).norm() / other.norm()) > 1e-3


@pytest.mark.parametrize(("heads", "kept"), [([], True), (["head"], False)])
def test_inflora_keeps_the_outputs_where_the_head_is_adapted_too(
    heads: list[str], kept: bool, make: Make, tiny_stream: Any, learn: Learn
) -> None:
    """A head that trains on freely forgets what the adapters protect."""
    strategy = over_wide(make(mode="inflora", threshold=1.0, first="full", heads=heads))
    data = tiny_stream.train_stream[0].dataset.eval()
    new = tiny_stream.train_stream[1].dataset.eval()
    learn(strategy, tiny_stream, 0, 1)
    before, other = strategy.predict(data)[0], strategy.predict(new)[0]
    learn(strategy, tiny_stream, 1, 2)
    moved = abs(strategy.predict(data)[0] - before).max()
    assert bool(moved < 1e-4) is kept
    assert abs(strategy.predict(new)[0] - other).max() > 1e-2


def over_wide(strategy: Any) -> Any:
    """Give a strategy of `make` a `Wide` network."""
    plugin = strategy.plugins[0]
    torch.manual_seed(0)
    strategy.model = Wide()
    plugin.prepare(strategy.model)
    strategy.optimizer = OPTIMIZERS["AdamW"](strategy.model.parameters())
    return strategy


class Wide(nn.Module):
    """Layers with more inputs than the images of an experience span."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3 * 12 * 12, 64)
        self.second = nn.Linear(64, 64)
        self.head = nn.Linear(64, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        vectors = images[:, :, :12, :12].flatten(1)
        return self.head(self.second(self.first(vectors).relu()).relu())[:, 0]


def test_inflora_trains_b_alone_along_directions_of_its_inputs(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy = make(mode="inflora")
    noted: list[torch.Tensor] = []
    layer = lora_layers(strategy.model)["hidden"]
    strategy.on_epoch = lambda _: noted.append(layer.lora_A.detach().clone())
    learn(strategy, tiny_stream, 0, 2)
    assert torch.equal(noted[0], noted[1])
    assert torch.equal(noted[2], noted[3])
    assert not torch.equal(noted[1], noted[2])
    [basis] = strategy.plugins[0]._memory.state_dict()["bases"]["hidden"]
    assert torch.allclose(basis.T @ basis, torch.eye(basis.shape[1]).double(), atol=1e-9)
    gram = noted[2] @ noted[2].T
    assert torch.allclose(gram, torch.eye(3) / 3, atol=1e-5)


def test_the_share_that_inflora_protects_grows_over_the_stream(
    make: Make, tiny_stream: Any, learn: Learn, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []

    def watch(basis: torch.Tensor, _: torch.Tensor, share: float) -> torch.Tensor:
        shares.append(share)
        return basis

    monkeypatch.setattr("cliqa.training.adapter_memory.grown", watch)
    learn(make(mode="inflora", targets="hidden", threshold=0.7), tiny_stream)
    assert shares == pytest.approx([0.7, 0.8, 0.9])


def test_inflora_measures_the_covariance_unless_told_otherwise(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    widths = {}
    for measure in ("covariance", "inputs"):
        strategy = make(mode="inflora", measure=measure, threshold=0.97)
        learn(strategy, tiny_stream, 0, 1)
        memory = strategy.plugins[0]._memory.state_dict()
        assert memory["measure"] == measure
        widths[measure] = sum(basis.shape[1] for own in memory["bases"].values() for basis in own)
    assert 0 < widths["covariance"] < widths["inputs"]
    plain: Any = LoRA(mode="inflora")
    assert plain._memory.measure == "covariance"


def test_an_earlier_checkpoint_of_inflora_goes_on_with_its_measure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whose threshold was a share of the inputs' energy."""
    plugin: Any = LoRA(mode="inflora")
    basis, state = torch.eye(3, 1, dtype=torch.float64), plugin.state_dict()
    plugin.load_state_dict({**state, "memory": {"bases": {"hidden": [basis]}}})
    assert plugin._memory.state_dict()["measure"] == "inputs"
    assert "of an earlier version" in caplog.text
    assert "The run goes on so (measure='inputs')" in caplog.text
    caplog.clear()
    plugin.load_state_dict({**state, "memory": {"bases": {}, "measure": "covariance"}})
    assert plugin._memory.state_dict()["measure"] == "covariance"
    assert not caplog.text


def test_few_samples_are_enough_for_inflora(make: Make, tiny_stream: Any, learn: Learn) -> None:
    seen: list[int] = []
    strategy = make(mode="inflora", samples=5)
    loader = strategy.loader

    def watch(data: Any, **options: Any) -> Any:
        if not options.get("train"):
            seen.append(len(data))
        return loader(data, **options)

    strategy.loader = watch
    learn(strategy, tiny_stream, 0, 2)
    assert seen == [5] * 4  # at the start and at the end of each


def test_a_full_space_is_warned_of(
    make: Make, tiny_stream: Any, caplog: pytest.LogCaptureFixture, learn: Learn
) -> None:
    strategy = make(mode="inflora")
    learn(strategy, tiny_stream, 0, 1)
    memory = strategy.plugins[0]._memory
    assert isinstance(memory, InterferenceFree)
    memory._bases["hidden"] = [torch.eye(8).double()]
    learn(strategy, tiny_stream, 1, 2)
    assert "in 1 layer(s) or groups, earlier inputs span the whole space" in caplog.text
    assert "Lower threshold" in caplog.text


# -------------------------------------------------------------------- ranks


@pytest.mark.parametrize("mode", MODES)
def test_adapters_are_cut_down_after_an_experience(
    mode: str, make: Make, tiny_stream: Any, caplog: pytest.LogCaptureFixture, learn: Learn
) -> None:
    caplog.set_level("INFO")
    strategy = make(mode=mode, energy=0.9, first="full")
    data = tiny_stream.dataset("b", "test")
    noted: list[Any] = []
    strategy.on_epoch = lambda _: noted.append(torch.as_tensor(strategy.predict(data)[0]))
    learn(strategy, tiny_stream, 0, 2)
    plugin = strategy.plugins[0]
    assert [sorted(ranks) for ranks in plugin.ranks] == [sorted(ADAPTED)]  # none after the first
    assert [len(plugin.ranks[0][name]) for name in ADAPTED] == [1, 2, 1]
    assert all(0 <= rank <= 3 for ranks in plugin.ranks[0].values() for rank in ranks)
    assert any(rank < 3 for ranks in plugin.ranks[0].values() for rank in ranks)
    assert "LoRA: ranks with 0.9 of the adapters' energy: " in caplog.text
    after = torch.as_tensor(strategy.predict(data)[0])
    assert float((after - noted[-1]).abs().max()) < 0.1
    for parameter in lora_parameters(strategy.model).values():
        assert parameter not in strategy.optimizer.state
    learn(strategy, tiny_stream, 2, 3)
    assert len(plugin.ranks) == 2


def test_with_nearly_all_energy_outputs_hardly_move(
    make: Make, tiny_stream: Any, learn: Learn
) -> None:
    strategy = make(mode="sum", energy=1 - 1e-8)
    data = tiny_stream.dataset("a", "test")
    noted: list[Any] = []
    strategy.on_epoch = lambda _: noted.append(torch.as_tensor(strategy.predict(data)[0]))
    learn(strategy, tiny_stream, 0, 1)
    assert torch.allclose(torch.as_tensor(strategy.predict(data)[0]), noted[-1], atol=1e-3)


# -------------------------------------------------------------------- resumes


CASES: dict[str, dict[str, Any]] = {
    "shared": {"energy": 0.9},
    "per_task": {"mode": "per_task", "inference": "gate", "norm": "train"},
    "last": {"mode": "per_task", "inference": "oracle", "start": "last", "energy": 0.99},
    "sum": {"mode": "sum", "first": "full"},
    "olora": {"mode": "olora", "energy": 0.99, "norm": "train"},
    "inflora": {"mode": "inflora", "first": "full"},
    "inflora-adapters": {"mode": "inflora", "energy": 0.9},
}


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_ends_with_the_same_bits(
    case: str, make: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    every = 1 if case == "shared" else 4
    assert_resumable(lambda: make(**CASES[case]), short_stream, every)


def test_a_state_is_of_tensors_and_plain_types(
    make: Make, tiny_stream: Any, tmp_path: Any, learn: Learn
) -> None:
    for mode in MODES:
        strategy = make(mode=mode, energy=0.9)
        learn(strategy, tiny_stream, 0, 1)
        torch.save(strategy.state_dict(), tmp_path / "state.pth")
        torch.load(tmp_path / "state.pth", weights_only=True)


@pytest.mark.parametrize("mode", MODES)
def test_beside_replay_and_in_mixed_precision(
    mode: str, make: Make, tiny_stream: Any, learn: Learn, outputs: Outputs
) -> None:
    strategy = make(mode=mode, more=[Replay(mem_size=6)], amp=True, first="full")
    learn(strategy, tiny_stream, 0, 1)
    before = {n: tensors_of(strategy.model)[n].detach().clone() for n in BASE}
    learn(strategy, tiny_stream, 1, 3)
    assert not changed(strategy, before)
    assert all(bool(v.isfinite().all()) for v in outputs(strategy, tiny_stream).values())


# -------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "task"}, r"LoRA: mode must be one of 'shared', 'per_task', .*, got 'task'"),
        ({"mode": "inflore"}, r"got 'inflore'\. Did you mean 'inflora'\?"),
        ({"measure": "input"}, r"measure must be .*got 'input'\. Did you mean 'inputs'\?"),
        ({"first": "all"}, r"first must be one of 'adapters', 'full', got 'all'"),
        ({"start": "first"}, r"start must be one of 'fresh', 'last', got 'first'"),
        ({"norm": "per_task"}, r"norm must be one of 'frozen', 'train', got 'per_task'"),
        ({"heads": "head"}, r"heads must be a list of names, e\.g\. \['head'\], got 'head'"),
        ({"energy": 0.0}, r"energy must be above 0 and at most 1, or None, got 0\.0"),
        ({"energy": 1.5}, r"energy must be above 0 and at most 1"),
        ({"orthogonality": -1}, r"orthogonality must be >= 0, got -1"),
        ({"orthogonality": float("nan")}, r"orthogonality must be >= 0, got nan"),
        ({"threshold": 1.1}, r"threshold must lie in 0\.\.1, got 1\.1"),
        ({"samples": 0}, r"samples must be an integer >= 1, got 0"),
        ({"inference": "best"}, r"LoRA: inference must be one of 'last', 'oracle', 'gate'"),
        (
            {"inference": "oracle", "mode": "sum"},
            r"inference='oracle' needs an adapter for each experience\. Set mode='per_task'",
        ),
        ({"rank": 0}, r"LoRA: rank must be an integer >= 1, got 0"),
        ({"alpha": -1.0}, r"LoRA: alpha must be a number > 0, got -1\.0"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LoRA(**arguments)


def test_mistakes_that_show_with_the_model(
    make_strategy: Make, tiny_stream: Any, learn: Learn
) -> None:
    with pytest.raises(ModelError, match=r"LoRA: heads: 'haed' names no part of the Net"):
        LoRA(heads=["haed"]).prepare(Net())
    with pytest.raises(
        ModelError, match=r"targets: 'head' names no .* layer of the Net, heads apa"
    ):
        LoRA(targets="head").prepare(Net())
    strategy = make_strategy([LoRA()])
    with pytest.raises(ModelError, match=r"TinyModel has no adapters\. Call the plugin's prepare"):
        learn(strategy, tiny_stream, 0, 1)

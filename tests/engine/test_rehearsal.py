"""What would fail after minutes of training fails before it, with advice."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from cliqa.engine.build import build
from cliqa.engine.rehearsal import rehearse, unchanged
from cliqa.utils.errors import CliqaError, ConfigError, DatasetError, ModelError
from cliqa.utils.seed import seed_everything

Config = dict[str, Any]
CPU = torch.device("cpu")


@pytest.mark.parametrize("strategy", ["Naive", "Replay", "JointTraining", "Cumulative", "LwF"])
def test_a_good_config_passes_and_nothing_changes(tiny_config: Config, strategy: str) -> None:
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"]["type"] = strategy
    parts = build(tiny_config, CPU)
    before = {key: value.clone() for key, value in parts.model.state_dict().items()}
    seed_everything(3)
    rehearse(parts)
    after = torch.rand(4), np.random.rand(4).tolist(), random.random()
    seed_everything(3)
    assert torch.equal(after[0], torch.rand(4))
    assert after[1:] == (np.random.rand(4).tolist(), random.random())
    assert parts.model.training
    assert all(torch.equal(parts.model.state_dict()[key], before[key]) for key in before)
    assert all(parameter.grad is None for parameter in parts.model.parameters())


def test_a_head_of_the_wrong_width_is_found(tiny_config: Config) -> None:
    tiny_config["model"]["head"]["in_channels"] = 64
    with pytest.raises(CliqaError, match=r"in_channels"):
        rehearse(build(tiny_config, CPU))


def test_a_classifier_is_refused_for_scores(tiny_config: Config) -> None:
    tiny_config["model"]["type"] = "ImageClassifier"
    tiny_config["model"]["head"] = {"type": "LinearClsHead", "in_channels": 32, "num_classes": 5}
    with pytest.raises(ModelError, match=r"gives shape \(3, 5\) .*LinearScoreHead"):
        rehearse(build(tiny_config, CPU))


def test_training_images_of_many_sizes_are_refused(tiny_config: Config) -> None:
    root = tiny_config["scenario"]["dataset_root"]
    data = build(tiny_config, CPU).benchmark.sources["a", "train"]
    original = data.paths[1].read_bytes()
    try:
        with Image.open(data.paths[1]) as image:
            resized = image.resize((20, 20))
        resized.save(data.paths[1])
        tiny_config["scenario"]["train_transform"] = [{"type": "ToTensor"}]
        with pytest.raises(DatasetError, match=r"different sizes.*RandomCrop"):
            rehearse(build(tiny_config, CPU))
    finally:
        data.paths[1].write_bytes(original)
    assert root


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"type": "HuberLoss", "delta": -1.0}, r"cl_strategy\.loss: cannot be computed: .*delta"),
        ({"type": "L1Loss", "reduction": "none"}, r"shape \(3,\).*reduction='mean'"),
    ],
)
def test_a_loss_that_cannot_be_computed_is_found(
    tiny_config: Config, loss: Config, message: str
) -> None:
    tiny_config["cl_strategy"]["loss"] = loss
    with pytest.raises(ConfigError, match=message):
        rehearse(build(tiny_config, CPU))


def test_too_few_logits_are_found(clear_config: Config) -> None:
    clear_config["model"]["head"]["num_classes"] = 2
    with pytest.raises(
        ModelError, match=r"gives shape \(3, 2\) for 3 training images.*of the 3 cl"
    ):
        rehearse(build(clear_config, CPU))


def test_features_of_another_width_are_found(features_config: Config) -> None:
    features_config["model"]["in_channels"] = 5
    with pytest.raises(CliqaError, match=r"in_channels=6"):
        rehearse(build(features_config, CPU))


def test_a_model_without_a_head_is_found(clear_config: Config) -> None:
    del clear_config["model"]["head"]
    with pytest.raises(ModelError, match=r"gives a tuple for training images.*Has it no head\?"):
        rehearse(build(clear_config, CPU))


def test_a_loss_of_scores_is_no_loss_of_classes(clear_config: Config) -> None:
    clear_config["cl_strategy"]["loss"] = {"type": "PLCCLoss"}
    with pytest.raises(CliqaError):
        rehearse(build(clear_config, CPU))


@pytest.mark.parametrize("option", [{"keep_best": True}, {"patience": 2}])
def test_choosing_epochs_needs_validation_splits(
    tiny_config: Config, option: dict[str, Any]
) -> None:
    tiny_config["cl_strategy"].update(option)
    rehearse(build(tiny_config, CPU))
    tiny_config["scenario"]["datasets"][1]["fractions"] = (0.7, 0.0, 0.3)
    message = rf"cl_strategy\.{next(iter(option))}: b has no validation split.*fractions=\(0\.8"
    with pytest.raises(ConfigError, match=message):
        rehearse(build(tiny_config, CPU))


def with_images(config: Config, root: Path, count: int) -> Config:
    """Return a config whose data sets are the first `count` images of their own."""
    folder = Path(config["scenario"]["dataset_root"])
    for section in config["scenario"]["datasets"]:
        rows = (folder / section["name"] / "scores.csv").read_text().splitlines()
        path = root / f"{section['name']}.csv"
        path.write_text("\n".join(rows[: count + 1]))
        section["labels"] = str(path)
    return config


def test_a_batch_of_one_is_refused_where_its_maps_are_one_pixel(tiny_config: Config) -> None:
    tiny_config["cl_strategy"]["train_mb_size"] = 1
    with pytest.raises(ConfigError, match=r"Set cl_strategy\.train_mb_size=2 or more") as error:
        rehearse(build(tiny_config, CPU))
    advised = re.search(r"Set cl_strategy\.train_mb_size=(\d+)", str(error.value))
    assert advised is not None
    tiny_config["cl_strategy"]["train_mb_size"] = int(advised[1])
    rehearse(build(tiny_config, CPU))


def test_a_batch_of_one_is_fine_where_it_can_be_normalised(tiny_config: Config) -> None:
    tiny_config["cl_strategy"]["train_mb_size"] = 1
    parts = build(tiny_config, CPU)
    for name, module in list(parts.model.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(parts.model.get_submodule(parent), child, nn.GroupNorm(1, module.num_features))
    rehearse(parts)


def test_a_last_batch_of_one_is_left_out_in_training(tiny_config: Config, tmp_path: Path) -> None:
    config = with_images(tiny_config, tmp_path, 10)
    for section in config["scenario"]["datasets"]:
        section["fractions"] = (0.5, 0.2, 0.3)
    config["cl_strategy"]["train_mb_size"] = 4  # of 5 images
    rehearse(build(config, CPU))


def test_one_image_to_train_on_is_too_few(tiny_config: Config, tmp_path: Path) -> None:
    config = with_images(tiny_config, tmp_path, 3)
    with pytest.raises(ConfigError, match=r"a: one sample to train on.*Add samples"):
        rehearse(build(config, CPU))
    config["cl_strategy"]["type"] = "JointTraining"  # on the images of all
    del config["cl_strategy"]["mem_size"]
    rehearse(build(config, CPU))


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.9, 0.1, 0), r"b has no test split.*To give it one, set fractions=\(0\.8"),
        ((1, 0, 0), r"b has no test split"),
        ((0, 0.5, 0.5), r"b has no training split.*Or leave it out.*cliqa evaluate"),
        ((0, 0, 1), r"b has no training split"),
        ((0, 1, 0), r"b has no training split"),
    ],
)
def test_a_data_set_without_a_split_is_refused(
    tiny_config: Config, fractions: tuple[float, ...], message: str
) -> None:
    tiny_config["scenario"]["datasets"][1]["fractions"] = fractions
    with pytest.raises(ConfigError, match=rf"scenario\.datasets: {message}"):
        rehearse(build(tiny_config, CPU))


@pytest.mark.parametrize("online", [None, {"chunk_size": 4}])
def test_a_stream_without_any_training_data_is_refused(
    tiny_config: Config, online: dict[str, int] | None
) -> None:
    tiny_config["scenario"]["online"] = online
    for section in tiny_config["scenario"]["datasets"]:
        section["fractions"] = (0, 0.5, 0.5)
    with pytest.raises(ConfigError, match=r"scenario\.datasets: a has no training split"):
        rehearse(build(tiny_config, CPU))


def test_the_advice_is_that_of_the_splits_origin(tiny_config: Config, tmp_path: Path) -> None:
    config = with_images(tiny_config, tmp_path, 20)
    section = config["scenario"]["datasets"][1]
    rows = Path(section["labels"]).read_text().splitlines()
    marked = [f"{row},{'val' if k % 4 == 0 else 'train'}" for k, row in enumerate(rows[1:])]
    Path(section["labels"]).write_text("\n".join([f"{rows[0]},split", *marked]))
    with pytest.raises(ConfigError, match=r"mark rows with it in the column 'split', or set spl"):
        rehearse(build(config, CPU))
    section["split_column"] = None
    section["fractions"] = (0.8, 0.1, 0.1)
    rehearse(build(config, CPU))
    (tmp_path / "val.csv").write_text("\n".join([rows[0], *rows[15:]]))
    Path(section["labels"]).write_text("\n".join(rows[:12]))
    section["val_labels"] = str(tmp_path / "val.csv")
    with pytest.raises(ConfigError, match="val_labels and test_labels, one file per split"):
        rehearse(build(config, CPU))
    (tmp_path / "test.csv").write_text("\n".join([rows[0], *rows[12:15]]))
    section["test_labels"] = str(tmp_path / "test.csv")
    rehearse(build(config, CPU))


class _NoGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor) -> torch.Tensor:
        return scores * 1.0

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no\nway back")


def test_a_gradient_that_cannot_be_computed_is_found(tiny_config: Config) -> None:
    parts = build(tiny_config, CPU)
    criterion = parts.strategy._criterion
    parts.strategy._criterion = Through(criterion)
    with pytest.raises(ModelError, match=r"the gradient cannot be computed: no way back\."):
        rehearse(parts)


class Through(nn.Module):
    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = _NoGradient.apply(self.criterion(scores, targets))
        return loss


class Restless(nn.Module):
    """A network that replaces one of its buffers, and draws from every generator."""

    seen: torch.Tensor
    hidden: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(4), spectral_norm(nn.Linear(4, 4)), nn.Dropout(0.5), nn.BatchNorm1d(4)
        )
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("hidden", torch.zeros(2), persistent=False)
        self.register_buffer("nothing", None)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.seen = self.seen + 1 + random.random() + np.random.rand()
        self.hidden += 1
        return self.layers(values)


def numbers() -> list[int]:
    """Return the state of numpy's generator."""
    state: Any = np.random.get_state()
    return list(map(int, state[1]))


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_changed(fails: bool) -> None:
    torch.manual_seed(0)
    model = Restless()
    model.layers[3].eval()
    model(torch.rand(8, 4)).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    expected = torch.get_rng_state(), random.getstate(), numbers()
    try:
        with unchanged(model):
            assert all(p.grad is None for p in model.parameters())
            model.train()
            model(torch.rand(8, 4)).sum().backward()
            assert not torch.equal(model.seen, buffers["seen"])
            if fails:
                raise ValueError("here")
    except ValueError:
        assert fails
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert (random.getstate(), numbers()) == expected[1:]
    assert [module.training for module in model.layers] == [True, True, True, False]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradients[name])

"""No label reaches a model of images and texts while it is tested.

Two checks, each through the evaluation that ``test_config.py`` runs. With noise in place of the
test images a model can only guess. With other targets beside the test images, or none, it says the
same to the bit. A model that is told the targets fails both, so the checks can fail.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cliqa.datasets.classes.fashion_files import FILES, RAW
from cliqa.datasets.classes.fashion_mnist import read_idx
from cliqa.demo_data.fashion import FashionData, idx_bytes
from cliqa.engine.train import train
from cliqa.engine.work_dir.checkpoints import load_run
from cliqa.inference.evaluate import evaluate
from cliqa.inference.evaluation_model import CheckpointEvaluation
from cliqa.inference.evaluation_pass import SharedViews, evaluate_models
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.losses.contrastive import level_shares
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.registry import MODELS, PLUGINS
from cliqa.training.plugins.base import ContinualPlugin

Config = dict[str, Any]


class ToldModel(ImageTextModel):
    """A model that mixes the text of the target, if it is told one, into an image's vector."""

    told: Tensor | None = None

    def embed_image(self, images: Tensor) -> Tensor:
        """Return vectors of images, drawn to the text of what they were said to show."""
        own, texts = super().embed_image(images), self.prototypes()
        if self.told is None or self.texts is None:
            return own
        values = self.texts.values
        shares = (
            F.one_hot(self.told, len(texts))
            if values is None
            else level_shares(self.told.float(), values)
        )
        return F.normalize(own + 3 * shares.float() @ texts, dim=1)


class Teller(ContinualPlugin):
    """A plugin that tells a model the targets of the batch that it is tested on."""

    def before_eval_forward(self, strategy: Any, **_: Any) -> None:
        strategy.model.told = strategy.mb_y

    def after_eval_forward(self, strategy: Any, **_: Any) -> None:
        strategy.model.told = None

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing over."""


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS.module_dict, "ToldModel", ToldModel)
        patch.setitem(PLUGINS.module_dict, "Teller", Teller)
        yield


def config_of(
    scenario: Config, channels: int, texts: str, loss: str, epochs: int, model: str
) -> Config:
    """Return a config of a small model of images and texts, one that is told the targets or not."""
    tensor = [{"type": "ToTensor"}]
    return {
        "scenario": {**scenario, "train_transform": tensor, "eval_transform": tensor},
        "model": {
            "type": model,
            "backbone": {"type": "SmallConvNet", "in_channels": channels, "channels": [8, 16]},
            "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
            "texts": texts,
            "in_channels": 16,
            "width": 16,
        },
        "cl_strategy": {
            "type": "Naive",
            "train_mb_size": 16,
            "eval_mb_size": 64,
            "train_epochs": epochs,
            "optimizer": {"type": "AdamW", "lr": 5e-3},
            "loss": {"type": loss},
            "plugins": [{"type": "Teller"}] if model == "ToldModel" else [],
        },
        "evaluation": {"bootstrap": 0},
        "seed": 0,
    }


class Trained:
    """A trained model and the ways to test it; `kind` is ``"classes"`` or ``"scores"``."""

    def __init__(self, kind: str, config: Config, root: Path, folder: Path, split: str) -> None:
        self.kind, self.config, self.root, self.folder, self.split = (
            *(kind, config, root, folder / "run", split),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cliqa.engine.train.draw_run", lambda _: [])
            train(config, config_file="x.py", work_dir=self.folder, device="cpu")

    def over(self, root: Path) -> Config:
        """Return the config over test data in another folder."""
        config = copy.deepcopy(self.config)
        config["scenario"]["dataset_root"] = str(root)
        return config

    def score(self, root: Path) -> float:
        """Return what ``test_config.py`` measures on test data: accuracy or SRCC."""
        found = evaluate(
            self.over(root),
            config_file="x.py",
            checkpoint=self.folder,
            split=self.split,
            out=root / "eval.json",
            device="cpu",
            allow_changed_data=True,
        )
        (data,) = found["datasets"].values()
        value = data["metrics"]["accuracy" if self.kind == "classes" else "srcc"]
        return 0.0 if value is None else float(value)

    def outputs(self, root: Path) -> np.ndarray:
        """Return the outputs that those measures are computed from."""
        path = self.folder / "checkpoints" / "last.pth"
        request = EvalRequest(split=self.split, allow_changed_data=True)
        own = (path, load_run(path), self.over(root), "x.py", torch.device("cpu"), request)
        model = CheckpointEvaluation(*own)
        kept: list[Any] = []

        def keep(_: object, outputs: dict[str, Any], seconds: float) -> dict[str, Any]:
            kept.extend(outputs.values())
            return {}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CheckpointEvaluation, "results", keep)
            evaluate_models([model])
        return kept[0][0]

    def outputs_without_targets(self) -> np.ndarray:
        """Return the outputs where no sample has a target: class -1, score NaN."""
        nothing = -1 if self.kind == "classes" else float("nan")
        plain = SharedViews.__getitem__
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                SharedViews, "__getitem__", lambda self, index: (plain(self, index)[0], nothing)
            )
            return self.outputs(self.root)

    def guessing(self, count: int) -> tuple[float, float]:
        """Return the mean and the standard deviation of the measure of one who guesses."""
        if self.kind == "classes":
            return 0.1, (0.1 * 0.9 / count) ** 0.5
        return 0.0, (count - 1) ** -0.5  # Kendall & Gibbons, "Rank correlation methods", ch. 4


def only_guesses_on(model: Trained, noise: Path) -> bool:
    """Return whether a model is within three standard deviations of chance on noise."""
    mean, deviation = model.guessing(len(model.outputs(noise)))
    return abs(model.score(noise) - mean) <= 3 * deviation


def says_the_same(model: Trained, permuted: Path) -> bool:
    """Return whether a model's outputs do not depend on the targets beside the images."""
    return np.array_equal(model.outputs(model.root), model.outputs(permuted))


def with_files(root: Path, out: Path, change: Callable[[np.ndarray], np.ndarray], of: int) -> Path:
    """Return a copy of Fashion-MNIST's files with other test images (0) or classes (1)."""
    shutil.copytree(root, out)
    path = out / RAW / FILES["test"][of]
    path.write_bytes(idx_bytes(change(read_idx(path, 3 - 2 * of))))
    return out


def with_scores(root: Path, out: Path, seed: int | None) -> Path:
    """Return a copy of scored images with noise for images, or with permuted scores (a seed)."""
    shutil.copytree(root, out)
    random = np.random.default_rng(seed or 0)
    if seed is None:
        for path in sorted(out.rglob("*.png")):
            Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    else:
        for path in out.rglob("scores.csv"):
            head, *rows = path.read_text().split()
            names, scores = zip(*(row.split(",") for row in rows), strict=True)
            shuffled = random.permutation(scores)
            lines = [f"{n},{s}" for n, s in zip(names, shuffled, strict=True)]
            path.write_text("\n".join([head, *lines]) + "\n")
    return out


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("digits") / "data"
    FashionData(train=300, test=200).write(root)
    return root


@pytest.fixture(scope="module", params=["digits", "scores"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a kind of data: its name, its folder, and a function that trains on it."""
    name = request.param
    root = request.getfixturevalue("tiny_data" if name == "scores" else name)
    out = tmp_path_factory.mktemp("leaks")
    if name == "scores":
        labelled = {"type": "ScoreFile", "labels": "scores.csv", "images": ".", "root": "a"}
        scale = {"score_range": (0, 1), "higher_is_better": True, "fractions": (0.6, 0.0, 0.4)}
        section: Config = {"type": "QualityStream", "datasets": [{**labelled, **scale}]}
        noise, permuted = with_scores(root, out / "noise", None), with_scores(root, out / "p", 1)
        of, kind, split = (3, "quality_levels", "MSELoss", 12), "scores", "all"
    else:
        section = {"type": "SplitFashionMNIST", "n_experiences": 1}
        random = np.random.default_rng(0)
        noise = with_files(
            root, out / "noise", lambda x: random.integers(0, 256, x.shape, dtype=np.uint8), 0
        )
        permuted = with_files(root, out / "permuted", random.permutation, 1)
        of, kind, split = (1, "fashion_mnist", "ContrastiveLoss", 16), "classes", "test"
    section["dataset_root"] = str(root)

    def trained(model: str) -> Trained:
        return Trained(kind, config_of(section, *of, model), root, out / model, split)

    return trained, noise, permuted


@pytest.fixture(scope="module", params=["ImageTextModel", "FusionModel"])
def own(data: Any, request: pytest.FixtureRequest) -> Trained:
    """Return a model as the package has it."""
    found: Trained = data[0](request.param)
    return found


@pytest.fixture(scope="module")
def told(data: Any) -> Trained:
    """Return a model that is told the targets."""
    found: Trained = data[0]("ToldModel")
    return found


def test_the_model_has_learnt_something(own: Trained) -> None:
    mean, deviation = own.guessing(len(own.outputs(own.root)))
    assert own.score(own.root) > mean + 4 * deviation


def test_noise_leaves_nothing_but_guessing(own: Trained, data: Any) -> None:
    assert only_guesses_on(own, data[1])


def test_outputs_do_not_depend_on_the_targets(own: Trained, data: Any) -> None:
    assert says_the_same(own, data[2])
    assert np.array_equal(own.outputs(own.root), own.outputs_without_targets())


def test_a_model_that_is_told_the_targets_is_found_out(told: Trained, data: Any) -> None:
    mean, deviation = told.guessing(len(told.outputs(data[1])))
    score = told.score(data[1])  # on noise: it reads the answer, not the image
    assert score > mean + 6 * deviation
    assert not only_guesses_on(told, data[1])
    assert not says_the_same(told, data[2])

"""Trained models that score or classify images."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pandas as pd
from torch import nn

from cliqa.api.pictures import Images, as_list, image_files
from cliqa.config.trust import built_from, trusting
from cliqa.datasets.labels.scale import Scale
from cliqa.explain.gate_views import gate_views
from cliqa.hub.source import on_this_machine
from cliqa.inference.evaluation_request import only_scale, scale_of, scales_of
from cliqa.inference.execution.precision import FLOAT32, Execution
from cliqa.inference.image_model import open_on
from cliqa.inference.predict import Predictor
from cliqa.inference.scores import Score
from cliqa.transforms.protocol import EvaluationProtocol, parse_protocol
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import named_checkpoint


class HasWorkDir(Protocol):
    """A run that was trained in this process."""

    @property
    def work_dir(self) -> Path:
        """The run's folder."""


class Model:
    """A trained model with the preprocessing that it was trained with.

    `load` makes it.

    Args:
        source: A work_dir, a checkpoint, or an exported file.
        device: Where to compute.
        protocol: How images are shown.
        execution: How the model is computed.
        trust: Let the file name any component; see ``docs/security.md``.

    Attributes:
        path: The file that it was loaded from.
        names: The experiences that it has learnt.
        classes: The classes that it distinguishes; empty for a model of scores.
    """

    def __init__(
        self,
        source: str | Path,
        device: str,
        protocol: EvaluationProtocol,
        execution: Execution = FLOAT32,
        trust: bool = False,
    ) -> None:
        self._trust = trust
        with trusting(trust):
            self._predictor = Predictor(*open_on(source, device, execution), protocol)
        self.path = self._predictor.checkpoint
        self.names, self.classes = self._predictor.names, self._predictor.classes

    @property
    def network(self) -> nn.Module:
        """The PyTorch network, for those who look inside.

        Raises:
            ModelError: The model is an exported file.
        """
        return self._predictor.model

    @property
    def predictor(self) -> Predictor:
        """The model with its preprocessing, which the functions of `cliqa.explain` take."""
        return self._predictor

    @property
    def scales(self) -> list[str]:
        """The data sets of the run whose scale `predict` can give scores on (``dataset=``)."""
        if self.classes:
            return []
        with trusting(self._trust), built_from(self.path):
            return list(scales_of(self._predictor.scenario))

    def scale_of(self, dataset: str) -> Scale:
        """Return the scale of one of `scales`: its ends and its direction.

        Raises:
            ConfigError: The run has no such data set.
        """
        with trusting(self._trust), built_from(self.path):
            return scale_of(self._predictor.scenario, dataset)

    @property
    def parameters(self) -> int:
        """How many numbers the network that predicts has learnt, all views of a gate included.

        Raises:
            ModelError: The model is an exported file.
        """
        self._predictor.model  # noqa: B018  an exported file has none
        network: nn.Module = self._predictor.image_model.network  # type: ignore[attr-defined]
        return sum(each.numel() for each in network.parameters())

    def views(self, images: Images) -> pd.DataFrame:
        """Return what each view of a model with a gate says, and the weight that it has.

        A view is the model after an experience; see ``docs/how-to/without_a_memory.md``.

        Args:
            images: As for `predict`; each is shown whole or in the crops that the model was trained
                with, over which weights and scores are averaged.

        Returns:
            A row per image and view: ``image``, ``view`` (the experience), ``weight`` (those of an
            image sum to 1) and ``score`` (0..1; of a classifier ``class``). Empty for a model
            without a gate.

        Raises:
            DatasetError: An image cannot be read.
        """
        columns = ["image", "view", "weight", "class" if self.classes else "score"]
        with tempfile.TemporaryDirectory(prefix="cliqa-") as folder:
            files = dict(image_files(as_list(images), Path(folder), recursive=False))
            found = gate_views(self._predictor, list(files))
        if found is None:
            return pd.DataFrame(columns=columns)
        outputs = found.outputs
        said = np.array(self.classes)[outputs.argmax(2)] if self.classes else outputs
        rows = [
            (image, name, float(found.weights[place, view]), said[place, view])
            for place, image in enumerate(files.values())
            for view, name in enumerate(found.names)
        ]
        return pd.DataFrame(rows, columns=columns)

    def predict(
        self,
        images: Images,
        *,
        scale: tuple[float, float] | Literal["dataset"] | None = None,
        dataset: str | None = None,
        recursive: bool = False,
        batch_size: int | None = None,
        num_workers: int | None = None,
    ) -> pd.DataFrame:
        """Score images, or classify them.

        Args:
            images: Files, folders, patterns, Pillow images, or arrays (H, W) or (H, W, 3); one of
                them or a list.
            scale: Range of the scores that are returned, (low, high), where higher is better. By
                default ``"dataset"``, the scale and direction of the run's data set, if it has
                only one, or of a self-contained file; else (0, 1).
            dataset: Return scores on the scale of this data set of the run instead.
            recursive: Look into folders of folders too.
            batch_size: Images per batch; by default 32.
            num_workers: Processes that read images; by default threads do, one a CPU.

        Returns:
            A row per image, in order: ``image`` and ``score``; of a classifier ``image``, ``class``
            and ``probability``. ``error`` says why an image could not be read; its score is NaN.

        Raises:
            ConfigError: An option does not fit the model.
            DatasetError: A path does not exist, or an image in memory is of an unknown kind.
        """
        with trusting(self._trust):
            to_scale = self._scaling(scale, dataset)
        with tempfile.TemporaryDirectory(prefix="cliqa-") as folder:
            files = dict(image_files(as_list(images), Path(folder), recursive))
            found = list(self._predictor.predict(list(files), batch_size, num_workers))
        return self._table([(files[row.image], row) for row in found], to_scale)

    def _scaling(
        self, scale: tuple[float, float] | Literal["dataset"] | None, dataset: str | None
    ) -> Callable[[float], float]:
        """Return the function that brings a score of 0..1 to the scale that is asked for."""
        scenario = self._predictor.scenario
        if scale is None and dataset is None:
            own_scale = None if self.classes else self._predictor.scale
            return (lambda score: score) if own_scale is None else own_scale.place
        if self.classes:
            raise ConfigError(f"{self.path}: gives classes, not scores. Leave the scale out.")
        if scale is not None and dataset is not None:
            raise ConfigError("predict: scale and dataset both give the scale. Choose one.")
        if scale == "dataset":
            only = only_scale(scenario)
            if only is None:
                raise ConfigError(
                    "predict: scale='dataset' needs a run of one data set of scores. Name one: "
                    "dataset='...'."
                )
            return only.place
        if dataset is not None:
            return scale_of(scenario, dataset).place
        low, high = scale or (0.0, 1.0)
        if not low < high:
            raise ConfigError(f"predict: scale=({low:g}, {high:g}): the first must be lower.")
        return lambda score: low + (high - low) * score

    def _table(
        self, found: list[tuple[str, Score]], to_scale: Callable[[float], float]
    ) -> pd.DataFrame:
        """Return the scores or classes as a table."""
        table = pd.DataFrame({"image": [name for name, _ in found]})
        values = [float("nan") if row.score is None else to_scale(row.score) for _, row in found]
        if self.classes:
            table["class"] = [row.label for _, row in found]
        table["probability" if self.classes else "score"] = values
        table["error"] = [row.error for _, row in found]
        return table


def load(
    source: str | Path | HasWorkDir,
    *,
    checkpoint: str | None = None,
    device: str = "auto",
    crops: str | None = None,
    crop_size: int | None = None,
    resize: int | tuple[int, int] | str | None = None,
    seed: int = 0,
    precision: str = "float32",
    compiled: bool = False,
    trust: bool = False,
) -> Model:
    """Load a trained model that scores or classifies images.

    Args:
        source: What `train` returned, a work_dir, a checkpoint (``.pth``), an exported model
            (``.onnx``, or ``.xml`` for OpenVINO, which is computed on the CPU), the folder of a
            shared model, or one on the Hub: ``"hf://owner/name"``, with ``"@revision"`` (a branch,
            a tag or a commit) behind it for another than the newest. See `push_to_hub`.
        checkpoint: The work_dir's checkpoint by its name: ``"best"`` (by the validation measure),
            ``"exp_0"`` ...; by default the last one.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; of an ``.onnx`` also
            ``"tensorrt"``.
        crops: Average over crops: ``"grid:5x5"`` or ``"random:25"``; by default as trained.
        crop_size: Edge of a crop in pixels; by default that of the model's own crops.
        resize: Resize to this shorter edge, to (height, width), or ``"none"``; by default as
            trained.
        seed: Seed of random crops.
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"`` (CUDA), or ``"auto"``: bfloat16
            where the device computes it fast.
        compiled: Compile the network with ``torch.compile``; the first images then take a minute.
        trust: Let the file name any component and import its run's modules: it can then run code.

    Raises:
        CheckpointError: There is no model, or it is damaged.
        ArtifactError: An exported file is missing or damaged.
        ConfigError: An option does not fit.
        HubError: The Hub lacks the model, refuses it, or cannot be reached.
    """
    sizes = resize if isinstance(resize, (tuple, list)) else [resize]
    texts = None if resize is None else [str(size) for size in sizes]
    protocol = parse_protocol(crops, crop_size, texts, seed)
    execution = Execution(precision, compiled)
    path = named_checkpoint(on_this_machine(path_of(source)), checkpoint)
    return Model(path, device, protocol, execution, trust)


def path_of(source: str | Path | HasWorkDir) -> str | Path:
    """Return the file or folder of a model."""
    return source if isinstance(source, (str, Path)) else source.work_dir

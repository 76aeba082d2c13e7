"""The test images of a run's data sets, as its predictions list them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cliqa.config.trust import built_from, trusting
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.inference.evaluation_data import ClassData, EvaluationData, ScoreData
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.registry import SCENARIOS, find
from cliqa.utils.errors import DatasetError


class RunImages:
    """The test images of a run, read from where its data sets lie.

    The config is the one in the run's last checkpoint, which names no code. A data set is read when
    one of its images is first asked for.

    Args:
        work_dir: The run's folder.
        trust: Let the checkpoint name any component.

    Raises:
        CheckpointError: The run has no checkpoint, or it is damaged.
    """

    def __init__(self, work_dir: str | Path, trust: bool = False) -> None:
        self.checkpoint = find_checkpoint(work_dir)
        self._trust = trust
        with trusting(trust):
            self._run = load_run(self.checkpoint)
        self._run.pop("strategy")  # the weights, which no image needs
        self._sources: dict[str, Any] = {}

    def read(self, dataset: str, index: int, name: str) -> np.ndarray:
        """Return a test image, uint8 (H, W, 3), or (H, W) of a grey one.

        Args:
            dataset: The data set.
            index: The image's place in the run's predictions.
            name: Its name there.

        Raises:
            DatasetError: The data set is not there, its images have changed since the run, the
                image cannot be read, or it consists of features.
        """
        source = self._source(dataset)
        names = [Path(path).name for path in source.paths] if hasattr(source, "paths") else []
        names = names or list(getattr(source, "keys", ()))
        if not 0 <= index < len(names) or names[index] != name:
            raise DatasetError(
                f"{dataset}: its test images have changed since the run, so '{name}' is not shown."
            )
        if getattr(source, "has_features", False):
            raise DatasetError(f"{dataset}: holds feature vectors, and no images to show.")
        image = source.image(index) if hasattr(source, "image") else source[index][0]
        pixels: np.ndarray = image.permute(1, 2, 0).numpy()  # (H, W, C)
        return pixels[..., 0] if pixels.shape[2] == 1 else pixels

    def _source(self, dataset: str) -> Any:  # noqa: ANN401  of scores, or of classes
        """Return the test samples of a data set."""
        if dataset not in self._sources:
            with trusting(self._trust), built_from(self.checkpoint):
                self._sources[dataset] = self._data(dataset).sources[dataset]
        return self._sources[dataset]

    def _data(self, dataset: str) -> EvaluationData:
        """Return the data of the run's config, of which one data set is wanted."""
        config, names = self._run["config"], self._run["names"]
        kind = getattr(find(SCENARIOS, config["scenario"], "scenario"), "target_kind", "scores")
        request = EvalRequest(data_sets=[dataset])
        if kind == "classes":
            return ClassData(config, request, names, self._run["next_step"])
        return ScoreData(config, request, names, 0, self._run.get("absent", ()))

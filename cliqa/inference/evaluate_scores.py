"""Which data sets of scores an evaluation measures, and what it says about each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from torch import Tensor

from cliqa.benchmarks.experience import NamedExperience
from cliqa.benchmarks.quality_stream import with_transforms
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.sharing import find_shared
from cliqa.engine.streams import build_data_sets, build_stream
from cliqa.engine.targets import score_measures
from cliqa.evaluation.records.tables import Table, number
from cliqa.inference.data_arguments import Scale, is_new_data_set, parse_data_set
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


class ChosenScores:
    """The data sets to evaluate on.

    The config's data sets are read only if one of them is wanted, and then all of them, so that
    images that they share are treated as in training. Others are measured whole.

    Args:
        config: The resolved config.
        wanted: Names of the config's data sets, or others as ``TYPE=ROOT``; none for the config's.
        split: ``"test"``, ``"val"``, ``"train"`` or ``"all"``.
        names: The experiences of the model's stream, in order.
        learnt: How many of them the model has learnt.
        scale: (low, high) and direction (higher is better) of score files among `wanted`.

    Attributes:
        sources: The data sets by name.
        experiences: The same as experiences of the stream, each at its own place in it; other data
            sets come behind all that the model has learnt.
        task_labels: The samples' task label; None, for scores have none.

    Raises:
        ConfigError: A name is unknown or stands for two data sets, or a split is empty.
    """

    def __init__(
        self,
        config: dict[str, Any],
        wanted: Sequence[str],
        split: str,
        names: Sequence[str],
        learnt: int,
        scale: Scale | None = None,
    ) -> None:
        self.sources = _data(config["scenario"], wanted, split, scale)
        self.experiences = {
            name: NamedExperience(
                name,
                with_transforms(data, as_it_is, as_it_is),
                names.index(name) if name in names else learnt,
            )
            for name, data in self.sources.items()
        }
        self.task_labels: dict[str, int | None] = dict.fromkeys(self.sources)

    def entry(
        self, name: str, prediction: np.ndarray, target: np.ndarray, bootstrap: int, seed: int
    ) -> dict[str, Any]:
        """Return a data set's metrics and predictions."""
        source = self.sources[name]
        measured = score_measures(prediction, target, bootstrap=bootstrap, seed=seed)
        raw = source.to_raw(np.clip(prediction, 0, 1))
        columns = zip(source.table.images, prediction, target, raw, source.raw_scores, strict=True)
        return {
            "metrics": {**measured, "num_samples": measured["n"]},
            "predictions": [
                {
                    "image": image,
                    "prediction": _finite(score),
                    "target": float(truth),
                    "raw_prediction": _finite(on_scale),
                    "raw_target": float(label),
                }
                for image, score, truth, on_scale, label in columns
            ],
        }


def scores_table(results: dict[str, Any]) -> Table:
    """Return a line a data set."""
    rows = []
    for name, data in results["datasets"].items():
        metrics = data["metrics"]
        band = (metrics.get("interval") or {}).get("srcc")
        interval = f"{band[0]:.3f}..{band[1]:.3f}" if band else "n/a"
        measures = [number(metrics[key]) for key in ("srcc", "plcc", "plcc_fit", "krcc", "rmse")]
        rows.append((name, str(metrics["n"]), measures[0], interval, *measures[1:]))
    header = ("data set", "images", "SRCC", "95 %", "PLCC", "PLCC fit", "KRCC", "RMSE")
    return Table(f"After {results['experiences_learnt']} experience(s)", header, tuple(rows))


def as_it_is(image: Tensor) -> Tensor:
    """Return the image: an evaluation transforms the samples by itself."""
    return image


def _data(
    scenario: dict[str, Any], wanted: Sequence[str], split: str, scale: Scale | None
) -> dict[str, QualityDataset]:
    """Return the split of the wanted data sets by name, in the order asked for."""
    named = list(dict.fromkeys(text for text in wanted if not is_new_data_set(text)))
    own = {data.name: data for data in build_data_sets(scenario)} if named or not wanted else {}
    for name in named:
        if name not in own:
            raise ConfigError(
                f"--datasets {name}: the config has {', '.join(own)}. For another data set write "
                "TYPE=ROOT, e.g. KADID10k=/data/kadid10k."
            )
    others = [parse_data_set(text, scale) for text in wanted if is_new_data_set(text)]
    _report_seen(list(own.values()), others)
    chosen = {name: own[name] for name in (named if wanted else own)}
    if split != "all" and own:
        stream = build_stream(scenario, list(own.values()))
        chosen = {name: stream.sources[name, split] for name in chosen}
    for data in others:
        if data.name in chosen:
            raise ConfigError(
                f"--datasets: two data sets are called '{data.name}'. Give one of them another "
                f"name: dict(type='{type(data).__name__}', root=..., name='...')."
            )
        chosen[data.name] = data.subset(cast("Any", split))
    for name, data in chosen.items():
        if not len(data):
            raise ConfigError(f"--split {split}: {name} has no such split. Use --split all.")
    return chosen


def _report_seen(own: Sequence[QualityDataset], others: Sequence[QualityDataset]) -> None:
    """Warn about images of other data sets that the config's training data hold as well."""
    train = [data.subset("train") for data in own]
    for other in others:
        shared = find_shared([*train, other])
        seen = {row.second_index for row in shared if row.second == len(train)}
        if seen:
            logger.warning(
                "%d of the %d images of %s stand in the training data of this config",
                len(seen),
                len(other),
                other.name,
            )


def _finite(value: float) -> float | None:
    """Return a number for JSON, which has none for what a diverged model predicts."""
    return float(value) if np.isfinite(value) else None

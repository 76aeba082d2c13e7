"""CLEAR: the same classes over the years (Lin et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cliqa.benchmarks.class_stream import ClassStream, Transform
from cliqa.datasets.clear.read import read_clear
from cliqa.registry import SCENARIOS
from cliqa.transforms.pixel_store.choose import Cache


@SCENARIOS.register_module()
class CLEAR(ClassStream):
    """One experience for each time bucket, oldest first; all of them have all classes.

    Both layouts of the published archives are read, as images or as precomputed features. Samples,
    their order and their labels are those of ``avalanche.benchmarks.classic.CLEAR`` wherever that
    is right; nothing is ever downloaded.

    Args:
        dataset_root: The data set's folder.
        train_transform: Image (3, H, W) uint8 -> (3, h, w), for training; of no use to features.
        eval_transform: The same for evaluation.
        data_name: ``"clear10"``, ``"clear100"``, or a name of an older release; the layout is
            detected from the folder, not from this name.
        evaluation_protocol: ``"streaming"``: train on all images of a bucket and test on the later
            buckets, of which the next one counts; ``"iid"``: 70 % of every bucket are trained on,
            30 % tested.
        seed: Which of the published 70/30 splits, 0..4 (iid only).
        shot: Number of training images per class and bucket, drawn from the training split (iid
            only); ``cliqa data clear fewshot`` writes the draw.
        feature_type: Name of precomputed features to learn from instead of images;
            ``cliqa data clear features`` computes them.
        buckets: The buckets to use, e.g. ``range(1, 11)``; None for all.
        task_labels: Give every bucket a task label, as Avalanche does. The domain changes, not the
            task, so the default is to give none.
        val_fraction: Share of each bucket's training data to validate on.
        cache: As `ClassStream`.
        scaled_decode: As `ClassStream`.

    Raises:
        ConfigError: The arguments do not go together.
        DatasetError: The folder is incomplete; the message names the file that is missing and the
            command that writes it.
    """

    has_clear_measures = True

    def __init__(
        self,
        dataset_root: str | Path,
        train_transform: Transform | None = None,
        eval_transform: Transform | None = None,
        data_name: str = "clear10",
        evaluation_protocol: str = "streaming",
        seed: int | None = None,
        shot: int | None = None,
        feature_type: str | None = None,
        buckets: Sequence[int | str] | None = None,
        task_labels: bool = False,
        val_fraction: float = 0.0,
        cache: Cache = "auto",
        scaled_decode: bool = False,
    ) -> None:
        splits = read_clear(
            dataset_root,
            data_name=data_name,
            evaluation_protocol=evaluation_protocol,
            seed=seed,
            shot=shot,
            feature_type=feature_type,
            buckets=buckets,
        )
        self.layout = splits.layout
        self.evaluation_protocol = evaluation_protocol
        super().__init__(
            splits.train,
            splits.test,
            [f"bucket-{bucket}" for bucket in splits.buckets],
            train_transform,
            eval_transform,
            ahead_only=evaluation_protocol == "streaming",
            val_fraction=val_fraction,
            task_labels=task_labels,
            notes=splits.notes,
            cache=cache,
            scaled_decode=scaled_decode,
        )

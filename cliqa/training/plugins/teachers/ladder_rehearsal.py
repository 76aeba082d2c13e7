"""Rehearsal on synthetic degradations: no earlier image is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.losses.distillation import output_distance
from cliqa.models.arguments import check_choice, check_integer, check_least
from cliqa.registry import PLUGINS
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.teachers.degraded_copies import checked_families, drawn_copies
from cliqa.training.plugins.teachers.distillation import pairwise_distance
from cliqa.training.plugins.teachers.earlier_model import EarlierModel
from cliqa.training.plugins.teachers.head_inputs import HeadInputs, feature_distance
from cliqa.training.plugins.teachers.ladders import (
    FamilyResult,
    Images,
    ScoredImages,
    ladder_scores,
    measure_families,
    on_each,
)
from cliqa.training.plugins.teachers.normalisation import Normalisation, read_normalisation
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import generator

logger = get_logger(__name__)

DISTANCES = ("pairs", "mse", "l1")


@PLUGINS.register_module()
class LadderRehearsal(ContinualPlugin):
    """Rehearse what the model knew of image quality on degraded copies of the new images.

    Before a new data set, the model so far (the teacher, frozen) scores ladders of degradations of
    the set's better images. The families that it ranks rightly there, the milder level above the
    worse one, are kept. While the model learns the set, the teacher also scores copies of the
    batch's better images, degraded by the kept families at random severities, and the model has to
    agree: the loss gets ``strength`` times the distance of their outputs. A family that the
    teacher takes for an improvement, as a model of blur takes noise, is left to the new labels.

    Of earlier data sets nothing is kept but the model. What the teacher knows is looked at anew
    before each data set, so a family that was learnt last is rehearsed from the next one on. What
    no family resembles is not rehearsed, and forgotten as in fine-tuning.

    It is learning without forgetting (`LwF`; Li & Hoiem, 2016) on images that show the earlier
    knowledge, in place of the new images as they are.

    Args:
        strength: Factor of the distance, >= 0; with 0 the training is plain fine-tuning.
        families: Names of degradations to try (`cliqa.transforms.degradations`); None for all.
        threshold: The least rank accuracy of a family that is kept, 0.5 (chance) to 1.
        better: The share of a data set's images, the best by their scores, that are degraded. A
            low-quality image is outside of what the teacher can judge.
        copies: Copies in a batch; None for as many as there are images.
        distance: ``"pairs"``, the squared difference of all pairs' differences, which leaves the
            model free to move all scores by a constant (twice the variance of the differences);
            ``"mse"``, the squared difference of the outputs; or ``"l1"``, the absolute one.
        features: Weight of a second distance, of what goes into the model's ``head``, relative to
            the spread of the teacher's; 0 for none.
        probe: Images on which families are tried.
        levels: Levels of each ladder, beside the image itself.
        mean: The means of the images' normalisation; None to read them from the transforms.
        std: Its standard deviations.

    Attributes:
        rows: What was found out about every family before each data set: the ``experience``, from
            0, and the values of a `FamilyResult`. They are written into a run's ``metrics.jsonl``.

    Raises:
        ConfigError: A number is out of range or a family is unknown; the samples are classes or no
            images; or their normalisation cannot be read.
    """

    saved = ("rows",)
    saved_parts = ("_teacher",)
    follows_pruning = True
    reads_outputs = True

    def __init__(
        self,
        strength: float = 5.0,
        families: Sequence[str] | None = None,
        threshold: float = 0.8,
        better: float = 0.3,
        copies: int | None = None,
        distance: str = "pairs",
        features: float = 0.0,
        probe: int = 32,
        levels: int = 4,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        name = "LadderRehearsal"
        check_least(name, 0, strength=strength, features=features)
        check_choice(name, DISTANCES, distance=distance)
        check_integer(name, 1, probe=probe, levels=levels)
        if copies is not None:
            check_integer(name, 1, copies=copies)
        if not 0.5 <= threshold <= 1:
            raise ConfigError(
                f"{name}: threshold must be in 0.5..1 (0.5 is chance), got {threshold}."
            )
        if not 0 < better <= 1:
            raise ConfigError(f"{name}: better must be a share in 0..1, and not 0, got {better}.")
        if (mean is None) != (std is None):
            raise ConfigError(f"{name}: give mean and std both, or neither.")
        self.families = checked_families(families)
        self._named = families is not None
        self.strength, self.threshold, self.better = strength, threshold, better
        self.copies, self.distance, self.features = copies, distance, features
        self.probe, self.levels = probe, levels
        self.rows: list[dict[str, Any]] = []
        self._given = None if mean is None or std is None else Normalisation(mean, std)
        self._normalisation = Normalisation((0.0,), (1.0,))
        self._least = 0.0  # the least score of a better image of this data set
        self._teacher = EarlierModel()

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Check the data; try the families, unless a resumed run has done so."""
        if not self.strength:
            return
        self._check_data(strategy)
        scores = torch.tensor(list(strategy.adapted_dataset.targets), dtype=torch.float64)
        self._least = float(scores.quantile(1 - self.better))
        if self._teacher and not strategy.resumes_mid_step:
            better = (scores >= self._least).nonzero()[:, 0]
            self._try_families(strategy, better)

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the distance from the teacher on degraded copies to the loss."""
        teacher = self._teacher.of(strategy.model) if self.strength else None
        kept = self.kept(strategy.experience.current_experience) if teacher is not None else []
        if teacher is None or not kept:
            return
        batch = self._degraded_batch(strategy, kept)
        strategy.loss = strategy.loss + self.strength * self._distance(strategy, teacher, batch)

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Use a copy of the current model as the teacher from now on."""
        if self.strength:
            self._teacher.take(strategy.model)

    # ---------------------------------------------------------------- families

    def kept(self, experience: int) -> list[str]:
        """Return the families that were kept before an experience, by its index in the stream."""
        return [r["family"] for r in self.rows if r["kept"] and r["experience"] == experience]

    def records(self) -> list[dict[str, Any]]:
        """Return `rows`, for ``metrics.jsonl``."""
        return [{"kind": "rehearsal", **row} for row in self.rows]

    def _try_families(self, strategy: Strategy, better: Tensor) -> None:
        """Note how the teacher ranks each family on images of this data set, by their indices."""
        place = strategy.experience.current_experience
        draw = generator(strategy.options.seed, "ladder", "images", strategy.step_index)
        chosen = better[torch.randperm(len(better), generator=draw)[: self.probe]].tolist()
        data = strategy.measured(strategy.adapted_dataset.subset(chosen))
        loader = strategy.loader(data, train=False, batch_size=strategy.train_mb_size)
        batches = [self._scored(strategy, batch) for batch in loader]
        found = measure_families(
            lambda family: ladder_scores(batches, family, self.levels, strategy.options.seed),
            self.families,
            self.threshold,
            strict=self._named,
        )
        earlier = [row for row in self.rows if row["experience"] != place]
        self.rows = [*earlier, *({"experience": place, **one.to_row()} for one in found)]
        _tell(str(getattr(strategy.experience, "name", f"experience {place}")), found)

    def _scored(self, strategy: Strategy, batch: Sequence[Any]) -> ScoredImages:
        """Return a batch's pixels, and how the teacher scores them or degraded ones."""
        teacher, rest = self._teacher.of(strategy.model), batch[1:]

        @torch.no_grad()
        def score(pixels: Images) -> Tensor:
            images = on_each(pixels, self._normalisation.redo)
            return strategy.output_of([images, *rest], teacher)

        return ScoredImages(on_each(batch[0], self._normalisation.undo), score)

    # ---------------------------------------------------------------- rehearsal

    def _degraded_batch(self, strategy: Strategy, kept: Sequence[str]) -> list[Any]:
        """Return a batch of degraded copies of the current batch's better images."""
        images, better = strategy.mb_x, (strategy.mb_y >= self._least).nonzero()[:, 0]
        if not len(better):
            better = strategy.mb_y.argmax()[None]
        crops = images[better]
        each = 1
        if crops.dim() == 5:  # (B, N, C, H, W): a copy is of one crop
            each, crops = crops.shape[1], crops.flatten(0, 1)
        seed, clock = strategy.options.seed, strategy.clock
        draw = generator(seed, "ladder", strategy.step_index, clock.train_iterations)
        copies, of = drawn_copies(
            self._normalisation.undo(crops), self.copies or len(images), kept, draw
        )
        places = better[of // each]
        return [self._normalisation.redo(copies), *(part[places] for part in strategy.mbatch[1:])]

    def _distance(self, strategy: Strategy, teacher: nn.Module, batch: Sequence[Any]) -> Tensor:
        """Return how far the model's outputs are from the teacher's, a scalar."""
        if not self.features:
            with torch.no_grad():
                truth = strategy.output_of(batch, teacher)
            return self.distance_of(strategy.output_of(batch), truth)
        with torch.no_grad(), HeadInputs(teacher) as earlier:
            truth = strategy.output_of(batch, teacher)
        with HeadInputs(strategy.model) as now:
            outputs = strategy.output_of(batch)
        apart = feature_distance(now.vectors(), earlier.vectors())
        return self.distance_of(outputs, truth) + self.features * apart

    def distance_of(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the distance of scores (M,) from the teacher's (M,), a scalar."""
        if self.distance == "pairs":
            return pairwise_distance(outputs, truth)
        if self.distance == "l1":
            return F.l1_loss(outputs, truth)
        return output_distance(outputs, truth)

    # ---------------------------------------------------------------- checks

    def _check_data(self, strategy: Strategy) -> None:
        """Read the normalisation; refuse classes, and samples that are no images."""
        if classes_of(strategy.experience):
            raise ConfigError(
                "LadderRehearsal: ranks degraded images by their quality scores, and these samples "
                "have classes. Use 'LwF', 'Replay' or 'DER', or a scenario of quality scores."
            )
        data = strategy.adapted_dataset
        if not len(getattr(data, "targets", ())):
            raise ConfigError(
                "LadderRehearsal: the data set does not say its scores, by which the better images "
                "are chosen. Give it a DataAttribute(scores, 'targets')."
            )
        measured = strategy.measured(data)
        self._normalisation = self._given or read_normalisation([data, measured])
        sample = measured.subset([0])[0][0]
        if not isinstance(sample, Tensor) or sample.dim() not in (3, 4):
            got = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample).__name__
            raise ConfigError(
                f"LadderRehearsal: degrades images (C, H, W), and the samples are {got}. Use a "
                "scenario of images, not of precomputed features."
            )
        self._normalisation.check(sample)


def _tell(name: str, found: Sequence[FamilyResult]) -> None:
    """Log which families are rehearsed while a data set is learnt, and which are not."""
    kept = ", ".join(str(one) for one in found if one.kept)
    others = ", ".join(str(one) for one in found if not one.kept) or "none"
    if kept:
        logger.info("%s: rehearses (rank accuracy) %s; not: %s", name, kept, others)
    else:
        logger.warning(
            "%s: the model so far ranks no family of degradations rightly (%s), so nothing is "
            "rehearsed, and this data set is learnt as by fine-tuning.",
            name,
            others,
        )

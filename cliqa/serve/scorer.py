"""A trained model as a function of images in memory, from bytes to scores on its scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from cliqa.datasets.labels.scale import Scale
from cliqa.inference.fast_predictor import MANY, open_predictor, scaling
from cliqa.inference.scores import Score
from cliqa.serve.options import ServiceOptions
from cliqa.utils.errors import CliqaError
from cliqa.utils.io import sha256_of
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

INTERNAL = "scoring it failed; the service's log says why"
"""The error of an image that a bug has met: what went wrong is no client's business."""

OWN_LIMIT = "; if you trust it, set the environment variable"
"""Where the advice of an error begins that a client cannot follow."""

Sample = Any
"""(name, image as the model takes it or None, error or None), of either predictor."""


class BytesPredictor(Protocol):
    """`FastPredictor` and `Predictor`, as far as a service needs them."""

    @property
    def classes(self) -> list[str]:
        """Its classes; empty if it predicts scores."""

    def prepare(self, data: bytes, path: Path) -> Sample:
        """Return an image as the model takes it, or its error."""

    def scores(self, batch: Sequence[Sample]) -> list[Score]:
        """Return the scores of prepared images, in order."""


class Scorer:
    """A model for a service.

    Args:
        predictor: The model with its preprocessing.
        name: What clients are told it is called.
        digest: SHA-256 of its file.
        to_scale: From a score of 0..1 to the scale.
        scale: The scale; None for probabilities of classes.
        path: Where the model lies; an error has its name in place of it.
    """

    def __init__(
        self,
        predictor: BytesPredictor,
        name: str,
        digest: str,
        to_scale: Callable[[float], float] = float,
        scale: Scale | None = None,
        path: str = "",
    ) -> None:
        self._predictor, self._to_scale, self._path = predictor, to_scale, path
        self.name, self.digest, self.scale = name, digest, scale

    @property
    def classes(self) -> list[str]:
        """The model's classes; empty if it predicts scores."""
        return self._predictor.classes

    def prepare(self, name: str, data: bytes) -> Sample:
        """Return the image in an upload as the model takes it, or its error.

        Args:
            name: What the client calls it. It is only echoed: nothing of this name is opened.
                Errors and the log have it without what would break a line there.
            data: Its bytes.
        """
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
        path, image, error = self._predictor.prepare(data, Path(shown))
        return path, image, error and self._for_clients(error)

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Return the scores of prepared images on the scale, in order.

        An image that the network does not take gets an error, and takes no other with it.
        """
        try:
            found = self._predictor.scores(samples)
        except Exception as error:  # noqa: BLE001  one bad image must not end a service
            if len(samples) > 1:
                return [self.score([sample])[0] for sample in samples]
            return [Score(samples[0][0], None, self._of(error))]
        return [self._placed(row) for row in found]

    def _placed(self, row: Score) -> Score:
        """Return a score on the scale; what is no finite number is an error."""
        if row.score is None:
            return replace(row, error=row.error and self._for_clients(row.error))
        if not math.isfinite(row.score):
            return Score(row.image, None, "the model gives no finite number for it")
        return row if self.classes else replace(row, score=self._to_scale(row.score))

    def _of(self, error: Exception) -> str:
        """Return what a client is told of an error; a bug is logged."""
        if isinstance(error, CliqaError):
            return self._for_clients(str(error))
        logger.error("scoring an image failed", exc_info=error)
        return INTERNAL

    def _for_clients(self, error: str) -> str:
        """Return an error without folders of this machine, or advice for its user."""
        before, found, _ = error.partition(OWN_LIMIT)
        shown = f"{before}." if found else error
        return shown.replace(self._path, self.name) if self._path else shown


def open_scorer(options: ServiceOptions) -> Scorer:
    """Return the model that a service is asked for.

    Raises:
        CliqaError: There is none, it is damaged, or an option does not fit it.
    """
    predictor = open_predictor(options.model, MANY, options.device)
    to_scale, scale = scaling(predictor, options.scale, options.dataset)
    name = Path(options.model).resolve().name
    path = predictor.checkpoint
    return Scorer(predictor, name, sha256_of(path), to_scale, scale, str(path))

"""Scores of an ONNX file's images without what training needs: torch, if a few images are scored.

The scores are those of `cliqa.inference.predict.Predictor`, to the last bit for up to four crops of
an image; the mean of more is rounded in another order.

Legend: B images, N crops an image, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cliqa.config.trust import built_from, is_trusting
from cliqa.datasets.labels.scale import Scale
from cliqa.deploy.description import scenario_of
from cliqa.deploy.onnx.file import OnnxModel
from cliqa.inference.scores import Score
from cliqa.transforms.array_pipeline import OtherSize, array_pipeline
from cliqa.transforms.pixels import pixels_of, read_bytes
from cliqa.utils.errors import CliqaError, ConfigError, ModelError
from cliqa.utils.threads.ahead import ahead, default_threads

if TYPE_CHECKING:
    from cliqa.inference.execution.precision import Execution
    from cliqa.inference.predict import Predictor

BATCH = 32
"""Images a batch, as in `predict`."""

MANY = 250
"""From so many images on torch's faster resampling outweighs the two seconds of its import."""

NEEDED = ("names", "classes", "channels", "eval_transform", "scenario")

Sample = tuple[Path, "np.ndarray | None", "str | None"]
"""A file with its preprocessed image, or with the error."""

Show = Callable[[bytes, Path], np.ndarray]
"""From a file's content, and its name for errors, to what a model takes."""


class FastPredictor:
    """An ONNX file with its preprocessing, or one that holds its own.

    Args:
        model: The file.
        show: From the content of an image's file, with its name, to what the model takes: (C, h, w)
            or (N, C, h, w) in float32, or pixels, uint8 (H, W, 3).

    Attributes:
        checkpoint: The file.
        classes: Its classes; empty if it predicts scores.
        scale: That scores are shown on unless another is asked for; None for 0..1. See `Predictor`.
    """

    def __init__(self, model: OnnxModel, show: Show) -> None:
        self._model, self._show, self.checkpoint = model, show, model.path
        self.classes: list[str] = model.metadata["classes"]
        scale = model.metadata.get("scale")
        self.scale = Scale(**scale) if scale else None

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The section of the data that it was trained on."""
        return scenario_of(self._model.metadata, self._model.path)

    def predict(
        self, paths: Sequence[Path], batch_size: int | None = None, num_workers: int | None = None
    ) -> Iterator[Score]:
        """Yield the score of every image, or its class with the probability, in order.

        Args:
            paths: Image files.
            batch_size: Images a batch; None for 32. Images of different sizes are scored singly.
            num_workers: Threads that read images; None for one a CPU, 0 for none.
        """
        threads = default_threads(len(paths)) if num_workers is None else num_workers
        samples = ahead(self._read, paths, threads)
        while batch := list(islice(samples, self.batch_of(batch_size))):
            yield from self.scores(batch)

    def batch_of(self, batch_size: int | None = None) -> int:
        """Return how many images a batch has."""
        return 1 if self._model.takes_pixels else batch_size or BATCH

    def _read(self, path: Path) -> Sample:
        """Return a file's image as the model takes it, or the error."""
        try:
            return self.prepare(read_bytes(path), path)
        except CliqaError as error:
            return path, None, str(error)

    def prepare(self, data: bytes, path: Path) -> Sample:
        """Return the image in a file's content as the model takes it, or the error.

        Args:
            data: The content.
            path: What the error calls it; nothing is opened.
        """
        try:
            return path, self._show(data, path), None
        except CliqaError as error:
            return path, None, str(error) if str(path) in str(error) else f"{path}: {error}"

    def scores(self, batch: Sequence[Sample]) -> list[Score]:
        """Return the scores of a batch of images that were prepared, in order.

        Raises:
            ModelError: The file does not take images of this size.
        """
        if self._model.takes_pixels:
            return [self._alone(*sample) for sample in batch]
        images = [image for _, image, _ in batch if image is not None]
        same = all(image.shape == images[0].shape for image in images)
        groups = [np.stack(images)] if same and images else [image[None] for image in images]
        outputs = iter([row for group in groups for row in self._outputs(group)])
        return [
            Score(path, None, error) if error else self._score(path, next(outputs))
            for path, _, error in batch
        ]

    def _alone(self, path: Path, pixels: np.ndarray | None, error: str | None) -> Score:
        """Return the score of an image by a file that takes pixels, or its error."""
        if pixels is None:
            return Score(path, None, error)
        try:
            return self._score(path, self._model.run(pixels[None])[0])
        except ModelError as why:
            size = f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
            return Score(path, None, f"{path}: the image is {size} (width x height): {why}")

    def _outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the outputs (B,) or (B, K) of images of one size; crops are averaged."""
        if images.ndim < 5:
            return self._model.run(images)
        flat = self._model.run(images.reshape(-1, *images.shape[2:]))
        return np.asarray(flat.reshape(*images.shape[:2], *flat.shape[1:]).mean(1))

    def _score(self, path: Path, output: np.ndarray) -> Score:
        """Return the score of 0..1, or the class, of one image's output."""
        if self.classes:
            shares = output if self._model.takes_pixels else _softmax(output[: len(self.classes)])
            best = int(shares.argmax())
            return Score(path, float(shares[best]), None, self.classes[best])
        if self.scale is None or not self._model.takes_pixels:
            return Score(path, float(output))
        share = (float(output) - self.scale.low) / (self.scale.high - self.scale.low)
        return Score(path, share if self.scale.higher_is_better else 1 - share)


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (K,) of logits."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def with_numpy(about: Mapping[str, Any]) -> Show | None:
    """Return how a file sees images, by numpy; None if that cannot do its preprocessing."""
    pipeline = array_pipeline(about["eval_transform"]) if about["channels"] == 3 else None
    if pipeline is None:
        return None

    def show(data: bytes, path: Path) -> np.ndarray:
        try:
            return pipeline(np.ascontiguousarray(pixels_of(data, path).transpose(2, 0, 1)))
        except (OtherSize, TypeError, ValueError, IndexError, ZeroDivisionError):
            return with_torch(about)(data, path)  # which tells what is wrong with the settings

    return show


def with_torch(about: Mapping[str, Any]) -> Show:
    """Return how a file sees images, by torch: slow to import, faster at resampling."""
    from cliqa.inference.execution.failure import failure_told  # noqa: PLC0415
    from cliqa.transforms.decode import image_of, to_grey  # noqa: PLC0415
    from cliqa.transforms.pipeline import build_pipeline  # noqa: PLC0415

    steps, quality = about["eval_transform"], not about["classes"]
    pipeline = build_pipeline(steps, "scenario.eval_transform", quality=quality)

    def show(data: bytes, path: Path) -> np.ndarray:
        image = image_of(data, path)
        image = to_grey(image) if about["channels"] == 1 else image
        with failure_told("scenario.eval_transform", [image]):
            found: np.ndarray = pipeline(image).numpy()
        return found

    return show


def _data_sets(about: Mapping[str, Any]) -> Sequence[object]:
    """Return the data sets of the run that a file is from."""
    found = about["scenario"].get("datasets") if isinstance(about["scenario"], Mapping) else None
    return found if isinstance(found, list) else []


def open_fast(path: str | Path, images: int = 1, device: str = "cpu") -> FastPredictor | None:
    """Return the predictor of an ONNX file; None for other models: `Predictor` opens them.

    Args:
        path: The file.
        images: How many images will be scored; for `MANY` torch is imported, as it pays.
        device: See `cliqa.deploy.onnx.session.providers_of`.

    Raises:
        ArtifactError: The file is missing, damaged, or not one of this package's.
        ConfigError: The package onnxruntime is not installed.
        TrustError: Its preprocessing asks for more than an untrusted file may.
    """
    if Path(path).suffix != ".onnx" or is_trusting():
        return None
    model = OnnxModel(path, device=device)
    about = model.metadata
    if any(about.get(key) is None for key in NEEDED):
        return None
    if model.takes_pixels:
        return FastPredictor(model, pixels_of)
    if not about["classes"] and "scale" not in about and len(_data_sets(about)) == 1:
        return None  # an earlier version's file: the scale is that of its config's data set
    resamples = any("Resize" in str(step.get("type")) for step in about["eval_transform"])
    show = None if images >= MANY and resamples else with_numpy(about)
    if show is None:
        with built_from(model.path):
            show = with_torch(about)
    return FastPredictor(model, show)


def open_predictor(
    source: str | Path,
    images: int,
    device: str,
    execution: Execution | None = None,
    crops: str | None = None,
    crop_size: int | None = None,
    resize: Sequence[str] | None = None,
    seed: int = 0,
) -> Predictor | FastPredictor:
    """Return a model; an ONNX file without what training needs, in a fraction of the time.

    Args:
        source: See `cliqa.inference.image_model.open_on`, and for the device.
        images: How many images will be scored; see `open_fast`.
        device: Where to compute.
        execution: How it is computed; by default in float32.
        crops: See `cliqa.transforms.protocol.parse_protocol`.
        crop_size: The same.
        resize: The same.
        seed: The same.

    Raises:
        CliqaError: There is no such model, or something asked for does not fit it.
    """
    if crops is None and resize is None:
        if execution is not None and Path(source).suffix == ".onnx":
            execution.check_file(str(source))
        if fast := open_fast(source, images, device):
            return fast
    from cliqa.inference.execution.precision import FLOAT32  # noqa: PLC0415
    from cliqa.inference.image_model import open_on  # noqa: PLC0415  imports torch
    from cliqa.inference.predict import Predictor  # noqa: PLC0415
    from cliqa.transforms.protocol import parse_protocol  # noqa: PLC0415

    protocol = parse_protocol(crops, crop_size, resize, seed)
    return Predictor(*open_on(source, device, execution or FLOAT32), protocol)


def scaling(
    predictor: Predictor | FastPredictor,
    scale: Sequence[float] | None = None,
    dataset: str | None = None,
) -> tuple[Callable[[float], float], Scale | None]:
    """Return a function that brings a score of 0..1 to a scale, and the scale, None of classes.

    Args:
        predictor: The model; its own scale is the default, else 0..1.
        scale: (low, high), where higher is better.
        dataset: Take the scale of this data set of the run instead.

    Raises:
        ConfigError: The model gives classes, or its config has no such data set.
    """
    if predictor.classes and (scale or dataset):
        raise ConfigError(
            f"--{'scale' if scale else 'dataset'}: this model gives classes, not scores."
        )
    if dataset:
        from cliqa.inference.evaluation_request import scale_of  # noqa: PLC0415  imports torch

        found = scale_of(predictor.scenario, dataset)
        return found.place, found
    if predictor.scale and not scale:
        return predictor.scale.place, predictor.scale
    low, high = scale or (0.0, 1.0)
    own = None if predictor.classes else Scale(low, high)
    return (lambda score: low + (high - low) * score), own

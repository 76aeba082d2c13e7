"""What 25 crops an image cost: ``python perf/evaluation_crops.py``.

The same crops of the same generated JPEGs (1024 x 768) are scored by the same model (a) as
reference implementations of image quality assessment do it, which open, decode and normalise the
file anew for every crop, and (b) by `Predictor`, which does so once an image. The arms take turns;
what is compared is the process's CPU time, pair by pair, with the model and without it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models
from torchvision.transforms.v2 import functional as F

from cliqa.inference.predict import Predictor
from cliqa.transforms.protocol import EvaluationProtocol
from cliqa.utils.cli import run_entry_point
from cliqa.utils.seed import generator

CPU = torch.device("cpu")
SIZE = 224
Resize = tuple[int, int] | None

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class LightModel:
    """A torchvision network with random weights as an `ImageModel` of scores.

    Args:
        name: Its name in torchvision; None for no network: a crop's first pixel.
    """

    def __init__(self, name: str | None) -> None:
        torch.manual_seed(0)
        self.network: nn.Module | None = None
        if name is not None:
            self.network = models.get_model(name, weights=None, num_classes=1).eval()
        self.path, self.channels = Path(str(name)), 3
        self.names: list[str] = []
        self.classes: list[str] = []
        self.scenario: dict[str, Any] = {}
        self.eval_transform: list[dict[str, Any]] = [
            {"type": "ToTensor"},
            {"type": "Normalize", "mean": MEAN, "std": STD},
        ]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, 3, H, W)."""
        if self.network is None:
            return images[:, 0, 0, 0]
        found: Tensor = self.network(images)[:, 0]
        return found


class OneDecodeACrop(Dataset[Tensor]):
    """Item i is one crop of image ``i // crops``; its file is read for that crop alone."""

    def __init__(self, paths: Sequence[Path], crops: int, resize: Resize) -> None:
        self.paths, self.crops, self.resize = paths, crops, resize

    def __len__(self) -> int:
        return len(self.paths) * self.crops

    def __getitem__(self, index: int) -> Tensor:
        path, crop = self.paths[index // self.crops], index % self.crops
        with Image.open(path) as file:
            image = file.convert("RGB")
        if self.resize is not None:
            image = image.resize(self.resize[::-1], Image.Resampling.BILINEAR)
        draw = generator(0, "crops", path.name)  # the places that a protocol of the package draws
        tops = torch.randint(0, image.height - SIZE + 1, (self.crops,), generator=draw)
        lefts = torch.randint(0, image.width - SIZE + 1, (self.crops,), generator=draw)
        top, left = int(tops[crop]), int(lefts[crop])
        cut = F.pil_to_tensor(image.crop((left, top, left + SIZE, top + SIZE)))
        return F.normalize(F.to_dtype(cut, torch.float32, scale=True), MEAN, STD)


def by_crop(
    model: LightModel, paths: Sequence[Path], crops: int, resize: Resize
) -> Callable[[], list[float]]:
    """Return an evaluation that decodes once a crop; a batch holds an image's crops."""
    loader = DataLoader(OneDecodeACrop(paths, crops, resize), crops)
    return lambda: [float(model(batch).mean()) for batch in loader]


def by_image(
    model: LightModel, paths: Sequence[Path], crops: int, resize: Resize
) -> Callable[[], list[float]]:
    """Return the package's own evaluation."""
    protocol = EvaluationProtocol(draws=crops, crop_size=SIZE, resize=resize)
    predictor = Predictor(model, CPU, protocol)
    return lambda: [float(row.score or 0.0) for row in predictor.predict(paths)]


def paint(folder: Path, count: int) -> list[Path]:
    """Write JPEGs with the detail of photographs; return their paths."""
    paths = []
    for k in range(count):
        random = np.random.default_rng(k)
        image = np.zeros((768, 1024, 3))
        for cells in (4, 16, 64, 256):  # ever finer and fainter: about 1/f, as in photographs
            coarse = random.integers(0, 256, (3 * cells // 4, cells, 3), dtype=np.uint8)
            layer = Image.fromarray(coarse).resize((1024, 768), Image.Resampling.BICUBIC)
            image += np.asarray(layer, dtype=float) / cells**0.5
        image = 255 * (image - image.min()) / np.ptp(image)
        paths.append(folder / f"{k}.jpg")
        Image.fromarray(image.astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def measure(
    name: str | None, paths: Sequence[Path], crops: int, resize: Resize, rounds: int
) -> dict[str, list[float]]:
    """Return CPU seconds an image of both arms, a number a round.

    Raises:
        RuntimeError: The arms give different scores.
    """
    model = LightModel(name)
    arms = {
        "per crop": by_crop(model, paths, crops, resize),
        "cliqa": by_image(model, paths, crops, resize),
    }
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for turn in range(rounds + 1):
        scores = {}
        for arm, evaluate in arms.items():
            started = time.process_time()
            scores[arm] = evaluate()
            if turn:  # the first round fills caches
                seconds[arm].append((time.process_time() - started) / len(paths))
        if not np.allclose(scores["per crop"], scores["cliqa"], atol=1e-2):
            raise RuntimeError("the two ways give different scores")
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mobilenet_v3_small", help="a torchvision network")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--crops", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resize", type=int, nargs=2, metavar=("H", "W"), help="before cropping")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    resize = tuple(args.resize) if args.resize else None
    with tempfile.TemporaryDirectory() as folder:
        paths = paint(Path(folder), args.images)
        kilobytes = statistics.mean(path.stat().st_size for path in paths) / 1024
        print(
            f"CPU milliseconds an image of 1024 x 768 ({kilobytes:.0f} KB), {args.crops} crops of "
            f"{SIZE} px, {args.images} images, {args.rounds} rounds, {args.threads} threads: "
            "median (min .. max)"
        )
        for title, name in (("images alone", None), (f"with {args.model}", args.model)):
            seconds = measure(name, paths, args.crops, resize, args.rounds)
            print(title)
            for arm, values in seconds.items():
                pairs = [a / b for a, b in zip(seconds["per crop"], values, strict=True)]
                print(
                    f"{arm:>10}  {1000 * statistics.median(values):.1f}"
                    f" ({1000 * min(values):.1f} .. {1000 * max(values):.1f})"
                    f"  times as fast {statistics.median(pairs):.2f}"
                    f" ({min(pairs):.2f} .. {max(pairs):.2f})"
                )


if __name__ == "__main__":
    sys.exit(run_entry_point(main))

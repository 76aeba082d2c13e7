"""What 25 crops an image cost: ``python perf/evaluation_crops.py``.

The same crops of the same generated JPEGs (1024 x 768) are scored by the same network as published
implementations of image quality assessment do it, which open, decode and normalise the file anew
for every crop and compute in float32, and by `Predictor` in several ways. The arms take turns; what
is compared is the process's CPU time, pair by pair. "bare" is a pass over crops that are in memory:
no way of reading images can be faster. The agreement of each arm with the package's float32 is
measured on images of many levels of blur, with a head that was fitted to these levels.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as F

from cliqa.deploy.backends import open_exported
from cliqa.deploy.onnx.export import export_onnx
from cliqa.deploy.openvino.backend import to_openvino
from cliqa.evaluation.functional import srcc
from cliqa.inference.execution.network import Executed
from cliqa.inference.execution.precision import FLOAT32, Execution
from cliqa.inference.predict import Predictor
from cliqa.transforms.decode import read_image
from cliqa.transforms.protocol import EvaluationProtocol
from cliqa.utils.cli import run_entry_point
from cliqa.utils.seed import generator
from perf.networks import fit_head, network_of
from perf.pictures import blurred, paint
from perf.rounds import ROUNDS, pairs, print_row, spread, take_turns

CPU = torch.device("cpu")
SIZE = 224
LEVELS = 16
"""Images of the agreement, each more blurred than the one before; four crops of each."""

Resize = tuple[int, int] | None
Forward = Callable[[Tensor], Tensor]

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
ONCE, ALONE = "published, batch of crops", "published, batch of one"
OURS, BFLOAT = "PyTorch float32", "PyTorch bfloat16"
WHOLE = "whole image, bfloat16"


class LightModel:
    """A function of images as an `ImageModel` of scores.

    Args:
        forward: Images (B, 3, H, W) -> (B,) or (B, 1).
    """

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.path, self.channels = Path("network"), 3
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
        return self.forward(images).reshape(len(images))


def first_pixel(images: Tensor) -> Tensor:
    """Return a crop's first level: no network at all."""
    return images[:, 0, 0, 0]


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
    forward: Forward, paths: Sequence[Path], crops: int, resize: Resize, batch: int
) -> Callable[[], list[float]]:
    """Return an evaluation that decodes once a crop; a network's pass is of so many crops."""
    loader = DataLoader(OneDecodeACrop(paths, crops, resize), crops)
    model = LightModel(forward)
    return lambda: [
        float(torch.cat([model(part) for part in shown.split(batch)]).mean()) for shown in loader
    ]


def by_image(
    forward: Forward, paths: Sequence[Path], protocol: EvaluationProtocol
) -> Callable[[], list[float]]:
    """Return the package's own evaluation."""
    predictor = Predictor(LightModel(forward), CPU, protocol)
    return lambda: [float(row.score or 0.0) for row in predictor.predict(paths)]


def random_crops(count: int, resize: Resize) -> EvaluationProtocol:
    """Return the protocol of so many crops, at the places of the published way's."""
    return EvaluationProtocol(draws=count, crop_size=SIZE, resize=resize)


def forwards(name: str, folder: Path, threads: int, images: Sequence[Path]) -> dict[str, Forward]:
    """Return a network in all ways in which the package computes it, the plain network first."""
    network = network_of(name)
    if name != "hyperiqa":  # whose last layers are generated for each image
        protocol = EvaluationProtocol(grid=(2, 2), crop_size=SIZE)
        shown = Predictor(LightModel(first_pixel), CPU, protocol)
        crops = torch.cat([shown.views(read_image(path), path.name) for path in images])
        fit_head(network, crops, torch.linspace(1, 0, LEVELS).repeat_interleave(4))
    plain, vino = folder / "model.onnx", folder / "model.xml"
    about: dict[str, Any] = {"names": [], "classes": [], "eval_transform": [], "scenario": {}}
    export_onnx(network, plain, channels=3, size=(SIZE, SIZE), metadata=about)
    ways: dict[str, Forward] = {"": network}
    ways[OURS] = Executed(copy.deepcopy(network), CPU, FLOAT32)
    ways[BFLOAT] = Executed(copy.deepcopy(network), CPU, Execution("bfloat16"))
    ways["ONNX Runtime float32"] = open_exported(plain, threads)
    for precision, words in (("fp32", "float32"), ("bf16", "bfloat16")):
        to_openvino(plain, vino, precision)
        ways[f"OpenVINO {words}"] = open_exported(vino, threads)
    return ways


def agreement(ways: Mapping[str, Forward], images: Sequence[Path]) -> dict[str, str]:
    """Return how each way's scores agree with the package's own float32."""
    scores = {
        way: np.array(by_image(forward, images, random_crops(4, None))())
        for way, forward in ways.items()
        if way
    }
    exact = scores[OURS]
    told = {}
    for way, found in scores.items():
        value = srcc(found, exact)
        ranks = "SRCC not defined" if value is None else f"SRCC {value:.4f}"
        largest, span = np.abs(found - exact).max(), np.ptp(exact)
        told[way] = f"{ranks}, largest difference {largest:.1g} of scores that span {span:.1g}"
    return told


def measure(
    ways: Mapping[str, Forward],
    paths: Sequence[Path],
    crops: int,
    resize: Resize,
    rounds: int,
    takes_any_size: bool = False,
) -> dict[str, list[float]]:
    """Return CPU seconds an image of every arm, a number a round.

    Raises:
        RuntimeError: The published way and the package's give different scores.
    """
    network = ways[""]
    arms: dict[str, Callable[[], Any]] = {
        ONCE: by_crop(network, paths, crops, resize, crops),
        ALONE: by_crop(network, paths, crops, resize, 1),
    }
    own = {way: forward for way, forward in ways.items() if way}
    arms |= {
        way: by_image(forward, paths, random_crops(crops, resize)) for way, forward in own.items()
    }
    if resize is not None and BFLOAT in own and takes_any_size:
        arms[WHOLE] = by_image(own[BFLOAT], paths, EvaluationProtocol(whole=True, resize=resize))
    if not np.allclose(arms[ONCE](), arms[OURS](), atol=1e-2):
        raise RuntimeError("the two ways give different scores")
    batch = torch.rand(crops, 3, SIZE, SIZE)
    passes = {way: lambda forward=forward: forward(batch) for way, forward in own.items()}
    once = take_turns(passes, 1)
    fastest = min(once, key=lambda way: once[way])
    arms[f"bare, {fastest}"] = lambda: [own[fastest](batch) for _ in paths]
    seconds = take_turns(arms, rounds)
    return {arm: [value / len(paths) for value in values] for arm, values in seconds.items()}


def report(title: str, seconds: Mapping[str, list[float]], told: Mapping[str, str]) -> str:
    """Print all arms; return the best of the package's."""
    print(title)
    own = [arm for arm in seconds if not arm.startswith(("published", "bare", "whole"))]
    for arm, values in seconds.items():
        times = [1000 * value for value in values]
        row = f"{arm:>28}  {spread(times, 1)} ms"
        if not arm.startswith("bare"):
            row += f"  times as fast {spread(pairs(dict(seconds), ONCE, arm))}"
            row += f", against batch 1 {spread(pairs(dict(seconds), ALONE, arm))}"
        print(f"{row}  {told.get(arm, '')}".rstrip(), flush=True)
    return min(own, key=lambda arm: statistics.median(seconds[arm]))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models",
        nargs="*",
        default=["mobilenet_v3_small", "resnet18", "hyperiqa"],
        help="torchvision networks and hyperiqa",
    )
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--crops", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--resize", type=int, nargs=2, metavar=("H", "W"), help="before cropping")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    resize = tuple(args.resize) if args.resize else None
    command = " ".join(["perf/evaluation_crops.py", *(sys.argv[1:] if argv is None else argv)])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = paint(folder, args.images)
        kilobytes = statistics.mean(path.stat().st_size for path in paths) / 1024
        print(
            f"CPU milliseconds an image of 1024 x 768 ({kilobytes:.0f} KB), {args.crops} crops of "
            f"{SIZE} px, {args.images} images, {args.rounds} rounds, {args.threads} threads: "
            "median (min .. max)"
        )
        alone = {"": first_pixel, OURS: first_pixel}
        seconds = measure(alone, paths, args.crops, resize, args.rounds)
        report("images alone", seconds, {})
        print_row("crops, images alone", command, spread(pairs(seconds, ONCE, OURS)))
        levels = blurred(paths, folder, LEVELS)
        for model in args.models:
            ways = forwards(model, folder, args.threads, levels)
            told = agreement(ways, levels)
            any_size = model != "hyperiqa"
            if any_size and resize is not None:
                whole = EvaluationProtocol(whole=True, resize=resize)
                scores = by_image(ways[OURS], levels, random_crops(args.crops, resize))()
                ranks = srcc(np.array(by_image(ways[BFLOAT], levels, whole)()), np.array(scores))
                told[WHOLE] = f"SRCC {ranks or 0:.4f} to the mean over {args.crops} crops"
            seconds = measure(ways, paths, args.crops, resize, args.rounds, any_size)
            best = report(f"with {model}", seconds, told)
            if WHOLE in seconds:
                times = spread(pairs(seconds, ONCE, WHOLE)), spread(pairs(seconds, ALONE, WHOLE))
                print_row(
                    f"whole image, {model}",
                    command,
                    f"one pass in bfloat16: {times[0]} times as fast as {args.crops} crops, each "
                    f"decoded anew, in float32; {times[1]} as that with one crop a pass; "
                    f"{told[WHOLE]}",
                )
            (bare,) = (1000 * statistics.median(v) for k, v in seconds.items() if "bare" in k)
            print_row(
                f"crops, {model}",
                command,
                f"{best}: {spread(pairs(seconds, ONCE, best))} times as fast as decoding for each "
                f"crop in float32, {spread(pairs(seconds, ALONE, best))} as that with one crop a "
                f"pass; {OURS} {spread(pairs(seconds, ONCE, OURS))}; {told[best]}; the fastest "
                f"pass alone takes {bare:.1f} ms for {args.crops} crops",
            )


if __name__ == "__main__":
    sys.exit(run_entry_point(main))

"""A stream of cliqa's, of images with quality scores, in a plain strategy of Avalanche's.

python examples/our_streams.py
"""

import tempfile
from pathlib import Path

import torch
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from avalanche.training.supervised import Naive
from torch import nn
from torchvision.io import write_png

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.evaluation.metrics.quality import quality_metrics
from cliqa.transforms.pipeline import build_pipeline


def write_data(root: Path, channel: int, count: int = 120) -> None:
    """Write images and a table, which stand for yours: a score is the level of one channel."""
    rows = ["image,score"]
    for k in range(count):
        level = (37 * k % count) / count
        image = 90 + 60 * torch.rand(3, 40, 40)
        image[channel] += 100 * level
        write_png(image.byte(), str(root / f"{k}.png"))
        rows.append(f"{k}.png,{1 + 4 * level:.2f}")
    (root / "scores.csv").write_text("\n".join(rows))


torch.manual_seed(0)
base = Path(tempfile.mkdtemp())
data = []
for channel, name in enumerate(("red", "green", "blue")):
    (base / name).mkdir()
    write_data(base / name, channel)
    options = {"score_range": (1, 5), "higher_is_better": True, "fractions": (0.6, 0, 0.4)}
    data.append(ScoreFile(root=base / name, labels="scores.csv", name=name, **options))

crops = "RandomCrop", "CenterCrop"
steps = [[{"type": name, "size": 32}, {"type": "ToTensor"}] for name in crops]
pipelines = [build_pipeline(each, "transform") for each in steps]
stream = QualityStream(data, *pipelines)  # an experience a data set: images, scores in 0..1
layers = [nn.Conv2d(3, 8, 3, 2), nn.LeakyReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
model = nn.Sequential(*layers, nn.Linear(8, 1), nn.Flatten(0))  # scores (B,)
strategy = Naive(
    model=model,
    optimizer=torch.optim.Adam(model.parameters(), lr=0.01),
    criterion=nn.MSELoss(),
    train_mb_size=8,
    train_epochs=20,
    eval_mb_size=64,
    plugins=[ReplayPlugin(mem_size=60)],
    evaluator=EvaluationPlugin(quality_metrics(["srcc"]), loggers=[]),
)
for experience in stream.train_stream:
    strategy.train(experience)
    print(f"after {experience.name}:", strategy.eval(stream.test_stream))

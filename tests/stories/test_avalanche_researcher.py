"""An Avalanche researcher: our methods in a script end with the same bits as from a config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.forks import run_script

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
model = dict(
    type="QualityModel",
    backbone=dict(type="SmallConvNet", in_channels=3, channels=[8, 8], norm="BN"),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearScoreHead", in_channels=8),
)
_labels = dict(type="ScoreFile", labels="scores.csv", images=".", score_range=(0, 1))
scenario = dict(
    type="QualityStream",
    dataset_root=".",
    datasets=[
        dict(**_labels, higher_is_better=True, root=name, name=name)
        for name in ("phones", "cameras")
    ],
    train_transform=[dict(type="RandomCrop", size=16), dict(type="ToTensor")],
    eval_transform=[dict(type="ToTensor")],
)
cl_strategy = dict(
    type="Replay",
    mem_size=8,
    plugins=[dict(type="EWC", strength=10.0)],
    train_mb_size=4,
    train_epochs=2,
    eval_mb_size=8,
    optimizer=dict(type="SGD", lr=0.05, momentum=0.9),
    loss=dict(type="L1Loss"),
)
evaluation = dict(bootstrap=0)
seed = 3
"""

SCRIPT = """
import csv

import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils import AvalancheDataset, DataAttribute, TransformGroups
from avalanche.training.supervised import Naive
from PIL import Image
from torchvision.transforms import v2

import cliqa
from cliqa.config.load import load_config
from cliqa.models.build import build_model
from cliqa.training import EWC, Replay
from cliqa.utils.seed import seed_everything


class Photos(torch.utils.data.Dataset):
    def __init__(self, folder, split):
        with open(f"{folder}/scores.csv") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        self.files = [f"{folder}/{row['image']}" for row in rows]
        self.targets = [float(row["score"]) for row in rows]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return Image.open(self.files[index]).convert("RGB"), torch.tensor(self.targets[index])


def data(folder, split):
    photos = Photos(folder, split)
    groups = TransformGroups({
        "train": v2.Compose([v2.PILToTensor(), v2.RandomCrop(16), v2.ToDtype(torch.float32, True)]),
        "eval": v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32, True)]),
    })
    targets = DataAttribute(photos.targets, "targets")
    made = AvalancheDataset([photos], data_attributes=[targets], transform_groups=groups)
    return made if split == "train" else made.eval()


folders = ("phones", "cameras")
benchmark = benchmark_from_datasets(
    train=[data(name, "train") for name in folders], test=[data(name, "test") for name in folders]
)
seed_everything(3, "model")  # the weights that a run of the config starts from
model = build_model(load_config("own.py")["model"])
torch.manual_seed(3)
strategy = Naive(
    model=model,
    optimizer=torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
    criterion=torch.nn.L1Loss(),
    train_mb_size=4,
    train_epochs=2,
    eval_mb_size=8,
    plugins=[Replay(mem_size=8), EWC(strength=10.0)],
)
for experience in benchmark.train_stream:
    strategy.train(experience)
    strategy.eval(benchmark.test_stream)

trained = cliqa.load("work_dirs/own", device="cpu").network.state_dict()
same = [torch.equal(value, trained[name]) for name, value in model.state_dict().items()]
print("equal tensors:", sum(same), "of", len(trained))
"""


def paint(folder: Path, seed: int) -> None:
    """Write 18 noisy images with scores, 11 to train on, 6 to test on, one to validate on."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    rows = ["image,score,split"]
    splits = ["val", *["test", "train", "train"] * 6]
    for k in range(18):
        score = round(float(random.uniform(0.1, 0.9)), 3)
        pixels = (random.normal(score, 0.1, (24, 20, 3)).clip(0, 1) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k:02d}.png")
        rows.append(f"{k:02d}.png,{score},{splits[k]}")
    (folder / "scores.csv").write_text("\n".join(rows) + "\n")


def test_a_script_and_a_config_end_with_the_same_weights(tmp_path: Path) -> None:
    for seed, name in enumerate(("phones", "cameras")):
        paint(tmp_path / name, seed)
    (tmp_path / "own.py").write_text(CONFIG)
    (tmp_path / "script.py").write_text(SCRIPT)
    train = [str(ROOT / "train_config.py"), "own.py", "--device", "cpu"]
    for command in (train, ["script.py"]):
        done = run_script(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    found = done.stdout.splitlines()[-1]
    assert found.startswith("equal tensors: ")
    same, _, count = found.removeprefix("equal tensors: ").partition(" of ")
    assert int(same) == int(count) > 10

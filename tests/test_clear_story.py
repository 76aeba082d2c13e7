"""From a labelled folder to results under every protocol, by the commands that a user calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.benchmarks.clear import CLEAR
from cliqa.commands.data.clear_dataset import main as clear_dataset
from cliqa.commands.runs.train import main as train_config
from cliqa.engine.work_dir.checkpoints import load_run, model_of
from cliqa.models.build import build_model
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration

ARCH: dict[str, Any] = {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8]}
CLASSES = ("dress", "sea side", "tree (old)")
PIXELS = [{"type": "ToTensor"}]

CONFIG = """
pixels = [dict(type="ToTensor")]
scenario = dict(type="CLEAR", dataset_root={root!r}, train_transform=pixels, eval_transform=pixels)
model = dict(
    backbone=dict(type="SmallConvNet", in_channels=3, channels=[8, 8]),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=3, in_channels=8),
)
cl_strategy = dict(
    type="Naive",
    train_mb_size=8,
    train_epochs=20,
    optimizer=dict(type="SGD", lr=0.05, momentum=0.9),
    loss=dict(type="CrossEntropyLoss"),
)
"""
PROTOCOLS = {
    "streaming": ["scenario.evaluation_protocol=streaming"],
    "iid": ["scenario.evaluation_protocol=iid", "scenario.seed=0"],
    "few-shot": ["scenario.evaluation_protocol=iid", "scenario.seed=0", "scenario.shot=2"],
}


def call(*arguments: object) -> None:
    assert run_entry_point(lambda: clear_dataset([str(part) for part in arguments])) == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set that was imported, cut by date, and given few-shot lists and features."""
    folder = tmp_path_factory.mktemp("story")
    noise = np.random.default_rng(0)
    for k, name in enumerate(CLASSES):
        (folder / "photos" / name).mkdir(parents=True)
        for n in range(18):
            pixels = noise.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            pixels[:, :, k] += 120
            exif = Image.Exif()
            exif[306] = f"{2010 + n // 6}:01:{1 + n:02d} 12:00:00"
            path = folder / "photos" / name / f"{17 - n:02d}.jpg"  # names against the dates
            Image.fromarray(pixels).save(path, exif=exif)
    call("from-folder", folder / "photos", folder / "raw", "--buckets", 2)
    call("create", folder / "raw", folder / "clear", "--sort-by", "date_taken", "--buckets", 3)
    call("fewshot", folder / "clear", "--shot", 2, "--seed", 0)
    torch.manual_seed(0)
    torch.save(build_model(ARCH).state_dict(), folder / "weights.pth")
    network = ["--arch", "dict(type='SmallConvNet',in_channels=3,channels=[8,8])"]
    checkpoint = ["--checkpoint", folder / "weights.pth", "--device", "cpu"]
    call("features", folder / "clear", "--name", "mine", *network, *checkpoint)
    return folder / "clear"


def test_buckets_are_in_the_order_of_the_dates(root: Path) -> None:
    years = []
    for bucket in "123":
        found = set()
        for path in (root / "labeled_metadata" / bucket).glob("*.json"):
            found |= {row["DATE_TAKEN"][:4] for row in json.loads(path.read_text()).values()}
        years.append(found)
    assert years == [{"2010"}, {"2011"}, {"2012"}]


@pytest.mark.parametrize("kind", ["images", "features"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_trains_and_the_numbers_are_those_of_its_models(
    protocol: str, kind: str, root: Path, tmp_path: Path
) -> None:
    config = tmp_path / "mine.py"
    config.write_text(CONFIG.format(root=str(root)))
    options = list(PROTOCOLS[protocol])
    if kind == "features":
        network = "dict(type='FeatureClassifier',in_channels=8,num_classes=3,_delete_=True)"
        options += ["scenario.feature_type=mine", f"model={network}"]
    arguments = [str(config), "--work-dir", str(tmp_path / "run"), "--device", "cpu"]
    assert run_entry_point(lambda: train_config([*arguments, "--cfg-options", *options])) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["status"] == "finished"

    given: dict[str, Any] = {"evaluation_protocol": "streaming"}
    if protocol != "streaming":
        given = {"evaluation_protocol": "iid", "seed": 0}
    transform = build_pipeline(PIXELS, "x", quality=False)
    features = "mine" if kind == "features" else None
    stream = CLEAR(root, transform, transform, feature_type=features, **given)
    assert stream.class_names == CLASSES
    for t, row in enumerate(results["matrix"]["accuracy"]):
        model = model_of(load_run(tmp_path / "run" / "checkpoints" / f"exp_{t}.pth"))
        for k, name in enumerate(stream.names):
            test = stream.dataset(name, "test")
            inputs = torch.stack([test[i][0] for i in range(len(test))])
            with torch.no_grad():
                said = model(inputs).argmax(1).numpy()
            expected = np.mean(said == stream.sources[name, "test"].targets)
            if protocol == "streaming" and k <= t:
                assert row[k] is None
            else:
                assert row[k] == pytest.approx(expected)
    if protocol != "few-shot":  # colours are easy: a broken stream would be at 1/3
        assert results["matrix"]["accuracy"][-1][-1] > 0.6

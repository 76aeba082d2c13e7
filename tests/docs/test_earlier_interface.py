"""The table of earlier commands, classes and keys: what its right column says works.

Commands are checked with those of all pages (`test_examples.py`). Here every import, call and
assignment is made, section by section, in a folder with small data.
"""

from __future__ import annotations

import re
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import cliqa
from tools.clear_dataset import (
    create_dataset,
    get_fewshot_indices,
    get_pretrained_features,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "earlier_interface.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))

PYTHON = re.compile(r"from \w[\w.]* import |[A-Za-z_][\w.]*\(|trainer\.[a-z_]+( = .*)?$")
"""How a span of code begins that is Python."""

NO_CODE = re.compile(r'[a-z_]+=.*|"[\w.]+"|[\w{}./]+\.(json|jsonl|pth|log|py)|\w+')
"""Spans that are an argument, a value, a file of a run, or a name."""


def rows_of(section: str) -> list[tuple[str, str]]:
    """Return the rows of a section's table: the earlier wording, and ours."""
    found = re.findall(r"^\| (.*) \| (.*) \|$", SECTIONS[section], re.MULTILINE)
    return [(earlier, here) for earlier, here in found if earlier != "earlier"]


def spans_of(text: str) -> list[str]:
    """Return the spans of code in a cell."""
    return re.findall(r"`([^`]+)`", text)


def images_of(folder: Path, suffix: str) -> list[str]:
    """Write ten small images, and return their names."""
    folder.mkdir()
    random = np.random.default_rng(0)
    names = [f"image_{k:03}" for k in range(10)]
    for name in names:
        pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}{suffix}")
    return names


class Scores(nn.Module):
    """A small model of scores (B,) with a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.body(inputs).relu())[:, 0]
        return found


def names_of_scores(folder: Path) -> dict[str, Any]:
    """Return what the first section's code takes for granted: files, a model, a task."""
    rows = "".join(f"{n},{k}\n" for k, n in enumerate(images_of(folder / "eva_images", ".jpg")))
    (folder / "eva_labels.csv").write_text(f"image_id,score\n{rows}")
    files = ", ".join(
        f'{{"image": "{name}.jpg", "score": {k + 1}}}'
        for k, name in enumerate(images_of(folder / "ava_images", ".jpg"))
    )
    (folder / "ava_labels.json").write_text(f'{{"files": [{files}]}}')
    model = Scores()
    loader = DataLoader(TensorDataset(torch.rand(12, 4), torch.rand(12)), batch_size=6)
    framework = cliqa.ContinualLearningFramework(model, "packnet")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    framework.before_task(0)
    for batch in loader:
        framework.compute_loss(batch).backward()
        optimizer.step()
    framework.after_task(0, loader)
    plain = cliqa.ContinualLearningFramework(model, "ewc")
    return {
        "model": model,
        "task_id": 0,
        "dataloader": loader,
        "batch": next(iter(loader)),
        "cl_framework": _Either(plain, framework),
    }


class _Either:
    """A framework whose `view` is that of another one, which has finished a task."""

    def __init__(self, own: Any, of_views: Any) -> None:
        self.view = of_views.view
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_own"], name)


def names_of_images(folder: Path) -> dict[str, Any]:
    """Return what the second section's code takes for granted: an image."""
    return {"clean_image": torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)}


def names_of_phases(folder: Path) -> dict[str, Any]:
    """Return what the third section's code takes for granted: networks, tasks, images."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = nn.Sequential(*layers, nn.Linear(8, 4))
    tasks = [
        TensorDataset(torch.rand(16, 1, 28, 28), torch.randint(2 * k, 2 * k + 2, (16,)))
        for k in range(2)
    ]
    options: dict[str, Any] = {"epochs": 1, "batch_size": 8, "device": "cpu"}
    return {
        "model": network,
        "network": network,
        "multimodal": cliqa.create_multimodal_model("clip", num_classes=10),
        "tasks": tasks,
        "tests": tasks,
        "trainer": cliqa.ContinualTrainer(network, **options),
        "images": torch.rand(40, 1, 28, 28),
        "evaluate": lambda forward: 0.5,
        "optimizer": _Quick(),
        "run": None,
    }


class _Quick:
    """The optimizer of a section's example: a network is measured, a run is not at hand."""

    def optimize_model(self, model: Any, *arguments: Any) -> Any:
        """Search, if there is a network."""
        return cliqa.AutoOptimizer().optimize_model(model, *arguments) if model else None


NAMES = {
    "Score data sets, small models, your own loop": names_of_scores,
    "Pretraining without scores": names_of_images,
    "Four phases of continual learning": names_of_phases,
    "MS-HyperIQA's commands": lambda _: {},
    "CLEAR on Avalanche and mmlab": lambda _: {},
}


@pytest.mark.parametrize("section", NAMES)
def test_the_calls_of_a_section_are_made(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = NAMES[section](tmp_path)
    for _, here in rows_of(section):
        for span in spans_of(here):
            if not PYTHON.match(span) or "(run," in span:
                continue
            exec(compile(span, "earlier_interface.md", "exec"), names)
    assert len(rows_of(section)) > 10


def test_every_span_is_of_a_kind_that_is_checked() -> None:
    assert set(NAMES) == set(SECTIONS)
    unknown = [
        span
        for section in SECTIONS
        for _, here in rows_of(section)
        for span in spans_of(here)
        if not (span.startswith(("python ", "pip ", "make ")) or PYTHON.match(span))
        and not NO_CODE.fullmatch(span)
        and not re.fullmatch(r"[\w.]+=[\w.]+", span)
    ]
    assert unknown == []


def test_a_row_says_what_to_write_or_that_there_is_nothing() -> None:
    for section in SECTIONS:
        for earlier, here in rows_of(section):
            assert spans_of(here) or here == "not here" or "the same" in here or "keys" in here, (
                earlier
            )


def test_levels_of_brightness_are_those_of_the_table() -> None:
    assert cliqa.SyntheticDegradation("brightness").strengths == (0.7, 0.5, 0.3, 1.3, 1.5)


def test_functions_for_the_console_take_the_arguments_as_they_were_written() -> None:
    root = "dataset/CLEAR-10-PUBLIC"
    named = signature(get_pretrained_features).bind(
        root, "intern_r50", "intern-r50.pth", arch="resnet50"
    )
    assert list(named.arguments) == ["root", "name", "checkpoint", "arch"]
    few = signature(get_fewshot_indices).bind(root, shot=5, seed=0)
    assert list(few.arguments) == ["root", "shot", "seed"]
    by_date = partial(sorted, key=lambda x: x["date_taken"])
    new = signature(create_dataset).bind(root, "dataset/clear-10-date", process=by_date)
    assert list(new.arguments) == ["root", "out", "process"]

"""A shared model: read as it was written, or refused with a remedy."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.engine.shared_model.folder import (
    CONFIG,
    WEIGHTS,
    digest_of,
    holds_shared_model,
    read_shared,
    write_shared,
)
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run, predicting_part, read_state
from cliqa.inference.image_model import open_model
from cliqa.utils.errors import CheckpointError, CliqaError, TrustError
from cliqa.utils.io import sha256_of

safetensors = pytest.importorskip("safetensors.torch")

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def written(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shared model: only read it."""
    folder = tmp_path_factory.mktemp("shared")
    write_shared(folder, predicting_part(load_run(find_checkpoint(tiny_run))))
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """Return a copy to change."""
    return Path(shutil.copytree(written, tmp_path / "shared"))


def change(folder: Path, edit: Callable[[dict[str, Any]], object], sealed: bool = False) -> None:
    """Edit a ``config.json``; a sealed one has fitting digests, as somebody could write it."""
    content = json.loads((folder / CONFIG).read_text())
    edit(content)
    if sealed:
        weights = safetensors.load_file(folder / WEIGHTS)
        about = {"format": "pt", "state_sha256": digest_of(content["state"])}
        safetensors.save_file(weights, folder / WEIGHTS, metadata=about)
        content["weights"]["sha256"] = sha256_of(folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(content))


def test_the_state_is_the_checkpoints(
    tiny_run: Path, written: Path, assert_same: Callable[[Any, Any], None]
) -> None:
    wanted = load_run(find_checkpoint(tiny_run))
    found = read_state(find_checkpoint(written))
    assert holds_shared_model(written)
    assert not holds_shared_model(tiny_run)
    assert_same(found["strategy"]["model"], wanted["strategy"]["model"])
    assert found["config"] == wanted["config"]
    assert "optimizer" not in found["strategy"]
    assert found["strategy"]["plugins"] == {}  # the memory of Replay stays at home


def test_a_formatted_config_is_the_same(folder: Path) -> None:
    content = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(content, sort_keys=True, indent=8))
    assert read_shared(folder / WEIGHTS)["names"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (lambda c: c.update(library="timm"), r"not a model that cliqa has shared"),
        (lambda c: c.pop("format"), r"not a model that cliqa has shared"),
        (lambda c: c.update(format=9, cliqa_version="7.0"), r"of format 9, written by cliqa 7\.0"),
        (lambda c: c.pop("state"), r"damaged: it has no state"),
        (lambda c: c.update(weights=[1]), r"not the weights that config\.json beside"),
        (lambda c: c["weights"].update(sha256="0"), r"not the weights that config\.json beside"),
        (lambda c: c["state"].update(names=["x"]), r"its state has been changed since it was wri"),
    ],
)
def test_changes_are_found(
    edit: Callable[[dict[str, Any]], object], line: str, folder: Path
) -> None:
    change(folder, edit)
    with pytest.raises(CheckpointError, match=line):
        open_model(folder, CPU)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (lambda s: s.update(names=3), r"damaged: its names is no list but int"),
        (lambda s: s.pop("strategy"), r"its state is damaged: 'strategy'"),
        (
            lambda s: s["strategy"]["model"].update(x={"$tensor": "y"}),
            r"state is damaged: \$tensor",
        ),
        (
            lambda s: s["config"]["model"]["head"].update(in_channels=9),
            r"not those of the model th",
        ),
        (
            lambda s: s["config"]["scenario"].update(eval_transform=3),
            r"damaged: its eval_transform",
        ),
        (lambda s: s["strategy"].update(pruning=3), r"pruning record is damaged"),
    ],
)
def test_a_sealed_foreign_state_is_refused_as_a_checkpoints(
    edit: Callable[[dict[str, Any]], object], line: str, folder: Path
) -> None:
    change(folder, lambda content: edit(content["state"]), sealed=True)
    with pytest.raises(Exception, match=line) as error:
        open_model(folder, CPU)
    assert type(error.value).__name__ in ("CheckpointError", "ModelError")


def test_a_component_of_somebody_else_needs_trust(folder: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["state"]["config"]["model"]["head"]["type"] = "os.system"

    change(folder, edit, sealed=True)
    with pytest.raises(TrustError, match=r"using it would import os\. If you trust the file"):
        open_model(folder, CPU)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, '"x"'])
def test_what_is_no_config_is_told(text: str, folder: Path) -> None:
    (folder / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json: (cannot be read as JSON|a \w+, not)"):
        read_shared(folder / WEIGHTS)


def test_missing_large_and_damaged_files_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-5])
    with pytest.raises(CheckpointError, match=r"damaged or not in the format safetensors"):
        read_shared(folder / WEIGHTS)
    (folder / WEIGHTS).write_bytes(whole[:-5] + bytes(5))
    with pytest.raises(CheckpointError, match=r"another SHA-256\): one of the files is damaged"):
        read_shared(folder / WEIGHTS)
    monkeypatch.setattr("cliqa.engine.shared_model.folder.MOST_BYTES", 10)
    with pytest.raises(CheckpointError, match=r"too large to be a shared model's"):
        read_shared(folder / WEIGHTS)
    (folder / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"config.json: missing.*load_from=.*safetensors"):
        read_shared(folder / WEIGHTS)


def test_flipped_bits_are_found(folder: Path) -> None:
    draw = random.Random(0)
    for name in (WEIGHTS, CONFIG):
        whole = (folder / name).read_bytes()
        for _ in range(20):
            damaged = bytearray(whole)
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
            (folder / name).write_bytes(damaged)
            with contextlib.suppress(CheckpointError):  # a space for a line break is no damage
                found = read_shared(folder / WEIGHTS)
                assert name == CONFIG
                assert found["names"] == ["a", "b", "c"]
        (folder / name).write_bytes(whole)


ODD: tuple[Any, ...] = (
    None,
    3,
    -1.5,
    True,
    "x",
    "os.system",
    [],
    {},
    [[1]],
    {"type": 3},
    {"$tensor": "x"},
    10**30,
)


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the holders and keys of everything in a JSON value."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from leaves(item)


def test_odd_values_in_a_sealed_state_are_mistakes_of_the_file(folder: Path) -> None:
    draw = random.Random(1)
    whole = (folder / CONFIG).read_text()
    for _ in range(20):

        def edit(content: dict[str, Any]) -> None:
            holder, key = draw.choice(list(leaves(content["state"])))
            holder[key] = draw.choice(ODD)

        change(folder, edit, sealed=True)
        with contextlib.suppress(CliqaError):  # many values are of no use to prediction
            open_model(folder, CPU)
        (folder / CONFIG).write_text(whole)


def test_classes_of_a_network_that_gives_scores_are_damage(folder: Path) -> None:
    change(folder, lambda content: content["state"].update(classes=["x", "y"]), sealed=True)
    with pytest.raises(CheckpointError, match="names 2 classes, and its network gives a score"):
        open_model(folder, CPU)(torch.zeros(1, 3, 16, 16))


def test_a_name_in_a_strangers_file_forges_no_line(folder: Path) -> None:
    forged = "9\nerror: forged"
    change(folder, lambda content: content["state"]["config"]["model"].update({forged: 1}), True)
    with pytest.raises(CliqaError, match="unexpected argument '9.*forged'") as told:
        open_model(folder, CPU)
    assert len(str(told.value).splitlines()) == 1
    change(folder, lambda content: content.update(format=99, cliqa_version=forged))
    with pytest.raises(CheckpointError, match="of format 99, written by cliqa 9 error") as told:
        read_shared(folder / WEIGHTS)
    assert len(str(told.value).splitlines()) == 1


def test_what_needs_the_run_says_so(written: Path) -> None:
    with pytest.raises(CheckpointError, match=r"predicts alone.*Evaluate the .*model\.onnx"):
        load_run(find_checkpoint(written))
    with pytest.raises(CheckpointError, match=r"a model on the Hub.*hf download OWNER/NAME"):
        find_checkpoint("hf://me/iqa")


def test_other_types_in_a_state_are_refused(tmp_path: Path) -> None:
    state = {"names": {1, 2}, "strategy": {"model": {}, "plugins": {}}}
    with pytest.raises(CheckpointError, match=r"state/names: a set cannot be written"):
        write_shared(tmp_path, state)
    assert list(tmp_path.iterdir()) == []

"""Writing a run's shared model into a folder, and sending it to the Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from cliqa.compress.export import export_checkpoint
from cliqa.compress.self_contained import export_self_contained
from cliqa.datasets.storage import new_folder
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.file import read_metadata
from cliqa.engine.shared_model.folder import CONFIG, WEIGHTS, holds_shared_model, write_shared
from cliqa.engine.work_dir.checkpoints import (
    find_checkpoint,
    load_run,
    predicting_part,
    read_state,
)
from cliqa.hub.address import check_repository
from cliqa.hub.card import model_card
from cliqa.hub.facts import Facts, gather
from cliqa.hub.licences import Licence
from cliqa.hub.private import check_no_secret
from cliqa.hub.remote import check_access, upload
from cliqa.hub.source import check_run_folder
from cliqa.inference.image_model import model_from_state
from cliqa.utils.errors import CheckpointError, CliqaError
from cliqa.utils.io import to_json, write_json, write_text
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import check_new_folder

logger = get_logger(__name__)

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Shared:
    """A shared model.

    Attributes:
        repository: ``owner/name``.
        url: Its page on the Hub; None for a folder alone.
        commit: The Hub's commit; None for a folder alone.
        folder: The folder that was written; None for one that was sent and is not kept.
        files: The bytes of every file.
        no_onnx: Why there is no ``model.onnx``; empty if there is one.
    """

    repository: str
    url: str | None
    commit: str | None
    folder: Path | None
    files: dict[str, int]
    no_onnx: str = ""

    def lines(self) -> list[str]:
        """Return what the command prints, a line each."""
        found = [f"{name}: {size:,} bytes" for name, size in self.files.items()]
        if self.no_onnx:
            found.append(f"no model.onnx: {self.no_onnx}")
        if self.folder is not None:
            found.append(f"written: {self.folder} (load it: cliqa.load({str(self.folder)!r}))")
            found.append(f"send it: hf upload {self.repository} {quote(str(self.folder))} .")
        else:
            found.append(f"sent: {self.url} (revision {self.commit})")
            found.append(f"load it: cliqa.load('hf://{self.repository}')")
        return found


def share(
    run: str | Path,
    repository: str,
    licence: Licence,
    *,
    private: bool = False,
    folder: str | Path | None = None,
    export: bool = True,
    message: str = "Share a model of cliqa",
) -> Shared:
    """Write a run's model as data alone, with its card, and send it; see `cliqa.push_to_hub`.

    Args:
        run: The work_dir.
        repository: ``owner/name``.
        licence: Of the model.
        private: Whether the repository has to be private.
        folder: Write it there, and send nothing.
        export: Whether ``model.onnx`` is added.
        message: Of the commit.

    Raises:
        CliqaError: Something is wrong; all but the export and the network is found at once.
    """
    check_repository(repository)
    library("safetensors.torch", "hub")
    state, facts = _read(Path(run), repository, licence)
    if folder is not None:
        check_new_folder(folder, "--out")
        with new_folder(Path(folder)) as new:
            reason = _write(Path(run), state, facts, new, export)
            files = _sizes(new)
        return Shared(repository, None, None, Path(folder), files, reason)
    check_access(repository, private)
    with tempfile.TemporaryDirectory(prefix="cliqa-") as name:
        new = Path(name)
        reason = _write(Path(run), state, facts, new, export)
        url, commit = upload(new, repository, private, message)
        return Shared(repository, url, commit, None, _sizes(new), reason)


def _read(run: Path, repository: str, licence: Licence) -> tuple[dict[str, Any], Facts]:
    """Return the last checkpoint of a run, and what its card says; refuse what cannot be shared.

    Raises:
        CliqaError: It is no finished run, or its model takes no images.
    """
    if holds_shared_model(run):
        words = f"hf upload {repository} {quote(str(run))} ."
        raise CheckpointError(f"{run}: shared already. Send it: {words}")
    check_run_folder(run)
    path = find_checkpoint(run)
    state = load_run(path)
    facts = gather(run, state, repository, licence)
    model_from_state(path, state, CPU)  # refuses a model that no image goes into
    return state, facts


def _write(run: Path, state: dict[str, Any], facts: Facts, folder: Path, export: bool) -> str:
    """Write the files; return why there is no ``model.onnx``, an empty text if there is one.

    Raises:
        CliqaError: The written model differs from the run's, or a file would hold a secret.
    """
    part = {**predicting_part(state), "config": facts.config}
    write_shared(folder, part)
    _check_equal(run, state, folder)
    takes, reason = _export(run, folder / "model.onnx") if export else ("", "it was not asked for.")
    facts = replace(facts, onnx=takes, no_onnx=reason)
    write_json(folder / "results.json", facts.results)
    card = model_card(facts)
    texts: dict[str, str] = {"README.md": card, "results.json": to_json(facts.results)}
    texts[CONFIG] = (folder / CONFIG).read_text(encoding="utf-8")
    if takes:
        texts["model.onnx"] = to_json(read_metadata(folder / "model.onnx"))
    check_no_secret(texts)
    write_text(folder / "README.md", card)
    return reason


@torch.no_grad()
def _check_equal(run: Path, state: dict[str, Any], folder: Path) -> None:
    """Read the written model, and compare its tensors with those of the run's network.

    Raises:
        CheckpointError: They differ.
    """
    written = folder / WEIGHTS
    networks = [
        model_from_state(path, content, CPU).network
        for path, content in ((run, state), (written, read_state(written)))
    ]
    ours, theirs = (network.state_dict() for network in networks)
    same = ours.keys() == theirs.keys() and all(
        torch.equal(one, theirs[name]) if isinstance(one, torch.Tensor) else one == theirs[name]
        for name, one in ours.items()
    )
    if not same:
        raise CheckpointError(
            f"{run}: its network cannot be shared: read again it has other tensors. Share the "
            "exported file instead: cliqa compress export"
        )


def _export(run: Path, target: Path) -> tuple[str, str]:
    """Export the model: with its preprocessing, or else without; say what it takes, or why not."""
    exports: tuple[tuple[str, Callable[[Path, Path], object]], ...] = (
        ("pixels", export_self_contained),
        ("preprocessed images", export_checkpoint),
    )
    reason = ""
    for takes, write in exports:
        try:
            write(run, target)
        except CliqaError as error:
            reason = str(error)
            logger.info("model.onnx that takes %s: %s", takes, reason)
        else:
            return takes, ""
    return "", reason


def _sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of the files of a folder by their names."""
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}

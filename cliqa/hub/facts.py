"""What a model card says of a run, gathered from its checkpoint, results and record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cliqa.config.values import walk
from cliqa.engine.work_dir.data_record import read_record
from cliqa.evaluation.records.results import Results, load_results, read_artifact
from cliqa.hub.licences import Licence
from cliqa.hub.private import hidden, public_config
from cliqa.inference.evaluation_model import experiences_learnt
from cliqa.inference.evaluation_request import scales_of
from cliqa.utils.errors import ArtifactError, CheckpointError, CliqaError

WEIGHTS = ("load_from", "pretrained", "weights", "checkpoint", "checkpoint_path")
"""Keys of a config that name weights which a run starts from."""

NOT_SHARED = ("predictions",)
"""Parts of ``results.json`` that stay with the run."""


@dataclass(frozen=True)
class Facts:
    """What a card says.

    Attributes:
        repository: ``owner/name``.
        licence: Of the model.
        config: The sections of the run's config that are shared.
        results: The content of ``results.json`` without folders of the machine.
        learnt: The experiences that the model has been trained on to their end.
        classes: Its classes; empty for a model of scores.
        channels: Of its images.
        parameters: The numbers in its tensors.
        sizes: Images of every data set by split, as far as the run has recorded them.
        run: What ``run.json`` says of versions and the device.
        started_from: Keys of the config that name pretrained weights, with their values.
        onnx: What ``model.onnx`` takes: ``"pixels"``, ``"preprocessed images"``; empty if there is
            none.
        no_onnx: Why there is none.
    """

    repository: str
    licence: Licence
    config: Mapping[str, Any]
    results: Results
    learnt: list[str]
    classes: list[str]
    channels: int
    parameters: int
    sizes: Mapping[str, Mapping[str, int]]
    run: Mapping[str, Any]
    started_from: Sequence[str] = ()
    onnx: str = ""
    no_onnx: str = ""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.repository.rpartition("/")[2]

    @property
    def method(self) -> str:
        """The strategy's type."""
        return str(self.config["cl_strategy"].get("type", "Naive"))

    @property
    def plugins(self) -> list[str]:
        """The types of the strategy's plugins."""
        return [str(one["type"]) for one in self.config["cl_strategy"].get("plugins") or []]

    @property
    def generated(self) -> str:
        """What the data are, if a generator of cliqa made them; else an empty text."""
        section = self.config["scenario"].get("generate")
        if section is None:
            return ""
        name = section["type"]
        if section.get("photos"):
            return (
                f"photographs that cliqa's generator `{name}` has degraded, with scores computed "
                "from their similarity to the originals; nobody has rated them"
            )
        if name == "FashionData":
            what = "small tiles of a sprite" if section.get("sprite") else "enlarged digits"
            return f"{what} in the file format of Fashion-MNIST, written by cliqa's `{name}`"
        return f"painted by cliqa's generator `{name}`: drawn scenes, no photographs"

    @property
    def scales(self) -> dict[str, str]:
        """The scale of the labels of every data set of scores, in words."""
        try:
            known = scales_of(self.config["scenario"])
        except CliqaError:
            return {}
        return {
            name: f"{scale.low:g} to {scale.high:g}"
            + ("" if scale.higher_is_better else ", lower is better")
            for name, scale in known.items()
        }


def gather(folder: Path, state: Mapping[str, Any], repository: str, licence: Licence) -> Facts:
    """Return the facts of a run.

    Args:
        folder: Its work_dir.
        state: Its last checkpoint.
        repository: ``owner/name``.
        licence: Of the model.

    Raises:
        ArtifactError: It has no results, or they are damaged.
        CheckpointError: They are not those of the checkpoint.
    """
    results = load_results(folder)
    count, names = experiences_learnt(state), list(state["names"])
    rows = len(next(iter(results["matrix"].values())))
    wanted = 1 if results["joint"] else count
    inside = state["strategy"].get("step_index") == state["next_step"]
    if not count or inside or rows != wanted:
        raise CheckpointError(
            f"{folder}: its last checkpoint lies within an experience, so results.json measures "
            "another model. Let the run end (cliqa train CONFIG --resume), or stop it after an "
            "experience (--stop-after)."
        )
    own = {name: one for name, one in state["strategy"]["model"].items() if isinstance(one, Tensor)}
    record = read_record(state.get("data"), folder)
    digests = record.digests() if record is not None else {}
    return Facts(
        repository=repository,
        licence=licence,
        config=public_config(state["config"]),
        results=hidden({k: v for k, v in results.items() if k not in NOT_SHARED}),
        learnt=[str(name) for name in names[:count]],
        classes=[str(name) for name in state.get("classes") or []],
        channels=int(state.get("channels") or 3),
        parameters=sum(one.numel() for one in own.values()),
        sizes={k: {s: int(v["images"]) for s, v in one.items()} for k, one in digests.items()},
        run=_run(folder),
        started_from=_started_from(state["config"]),
    )


def _started_from(config: Mapping[str, Any]) -> list[str]:
    """Return the keys that name pretrained weights, with their values but without folders.

    >>> _started_from({"model": {"backbone": {"pretrained": True, "depth": 18}}, "load_from": None})
    ['model.backbone.pretrained=True']
    """
    named = {"load_from": config.get("load_from"), "model": config["model"]}
    return [
        f"{place}={value if isinstance(value, bool) else hidden(str(value))}"
        for place, key, value in walk(named)
        if key in WEIGHTS and isinstance(value, (str, bool)) and value
    ]


def _run(folder: Path) -> dict[str, Any]:
    """Return the versions and the device of ``run.json``, nothing else that is in it."""
    try:
        _, found = read_artifact(folder, "run.json", "")
        return {
            "device": str(found.get("device") or "").partition(":")[0],
            "python": found.get("python"),
            "packages": dict(found.get("packages") or {}),
        }
    except (ArtifactError, ValueError, AttributeError, TypeError):
        return {}

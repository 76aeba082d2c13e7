"""Checkpoints of `StreamingRidge` without a data set, or merged from several machines."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run, model_of
from cliqa.models.heads.ridge import RidgeHead
from cliqa.training.supervised.ridge_solution import fit_head
from cliqa.training.supervised.ridge_sums import FIELDS, StreamSums, check_removable
from cliqa.utils.errors import CheckpointError, ModelError

SOLVED = ("mean", "inverse_std", "weight", "bias", "seen")
"""The head's tensors that follow from the sums."""

STRATEGY = ("strength", "standardize", "weighting", "align", "keep_sets", "first_session")
"""Options that runs to merge must share."""


class RidgeRun:
    """A checkpoint of `StreamingRidge` with its sums.

    Args:
        path: A work_dir or a checkpoint.

    Attributes:
        path: The checkpoint.
        state: Its content.
        sums: The sums of its data sets.
        held: Those of their validation splits.

    Raises:
        CheckpointError: There is none, it is of another strategy, or it is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = find_checkpoint(path)
        self.state = load_run(self.path)
        ridge = self.state["strategy"].get("ridge")
        if not isinstance(ridge, Mapping):
            raise CheckpointError(
                f"{self.path}: holds no sums, as it is no run of StreamingRidge. Train with "
                "cl_strategy.type=StreamingRidge."
            )
        kept = bool(self.option("keep_sets"))
        self.sums = _read(ridge.get("sums"), kept, self.path)
        self.held = _read(ridge.get("held"), kept, self.path)
        if not self.sums.sets:
            raise CheckpointError(f"{self.path}: has learnt no data set yet. Train it first.")

    def option(self, name: str) -> Any:  # noqa: ANN401
        """Return an argument of the strategy; None where it has its default."""
        return self.state["config"]["cl_strategy"].get(name)

    def remove(self, name: str) -> None:
        """Remove a data set and solve again.

        Raises:
            CheckpointError: It cannot be removed.
        """
        session = self.option("first_session") or 0
        try:
            check_removable(self.sums, name, session, self.option("standardize") or "image")
            self.sums.remove(name)
            if self.held.sets:
                self.held.remove(name)
        except ModelError as error:
            raise CheckpointError(f"{self.path}: {error}") from error
        kept = [index for index, other in enumerate(self.state["names"]) if other != name]
        self._keep(kept)
        self._solve()

    def merge(self, other: RidgeRun, add_same: bool = False) -> None:
        """Add another machine's data sets and solve again.

        Args:
            other: Its run.
            add_same: A data set of the same name holds other samples there: add both.

        Raises:
            CheckpointError: The runs have other features or options, or a data set is in both.
        """
        self._check_alike(other)
        same = sorted(set(self.sums.sets) & set(other.sums.sets))
        if same and not add_same:
            raise CheckpointError(
                f"{other.path}: '{same[0]}' is in {self.path} too, and would count twice. Where "
                "the machines hold different samples of it, add --add-same."
            )
        if same and self.option("weighting") == "sets":
            raise CheckpointError(
                f"{other.path}: '{same[0]}' is in {self.path} too, and weighting='sets' has "
                "scaled each part to the weight of a whole set. Train with weighting='samples'."
            )
        try:
            self.sums.merge(other.sums)
            self.held.merge(other.held)
        except ModelError as error:
            raise CheckpointError(f"{other.path}: {error}") from error
        self._append(other)
        self._solve()

    def _check_alike(self, other: RidgeRun) -> None:
        """Refuse a run whose features or options differ."""
        for name in STRATEGY:
            if self.option(name) != other.option(name):
                raise CheckpointError(
                    f"{other.path}: cl_strategy.{name} is {other.option(name)!r}, and "
                    f"{self.option(name)!r} in {self.path}. Train both alike."
                )
        mine, theirs = self.state["strategy"]["model"], other.state["strategy"]["model"]
        solved = tuple(f"head.{name}" for name in SOLVED)
        for key in dict.fromkeys([*mine, *theirs]):
            if key in solved:
                continue
            if key not in mine or key not in theirs or not torch.equal(mine[key], theirs[key]):
                raise CheckpointError(
                    f"{other.path}: '{key}' differs from {self.path}, so the sums are over other "
                    "features. Train both from the same weights with the same seed; with "
                    "standardize='first' or a first session, one after the other with "
                    "load_from=<the first one's checkpoint>."
                )
        if self.state.get("classes") != other.state.get("classes"):
            raise CheckpointError(f"{other.path}: its classes are not those of {self.path}.")

    def _append(self, other: RidgeRun) -> None:
        """Add the names of another run's data sets, and their sections."""
        state, theirs = self.state, other.state
        new = [index for index, name in enumerate(theirs["names"]) if name not in state["names"]]
        scenario = copy.deepcopy(dict(state["config"]["scenario"]))
        sections = theirs["config"]["scenario"].get("datasets")
        if isinstance(scenario.get("datasets"), list) and isinstance(sections, list):
            root = theirs["config"]["scenario"].get("dataset_root") or "."
            moved = root != (scenario.get("dataset_root") or ".")
            for index in new if len(sections) == len(theirs["names"]) else ():
                section = dict(sections[index])
                if moved and "root" in section:
                    section["root"] = str((Path(root) / section["root"]).absolute())
                scenario["datasets"].append(section)
        self.state["config"] = {**state["config"], "scenario": scenario}
        done, last = state["names"][: state["next_step"]], theirs["next_step"]
        self.state["names"] = [*done, *(theirs["names"][index] for index in new if index < last)]
        self.state["next_step"] = len(self.state["names"])

    def _keep(self, kept: Sequence[int]) -> None:
        """Leave only these of the names, and of the sections of data sets."""
        state = self.state
        scenario = dict(state["config"]["scenario"])
        sections = scenario.get("datasets")
        if isinstance(sections, list) and len(sections) == len(state["names"]):
            scenario["datasets"] = [sections[index] for index in kept]
        learnt = [index for index in kept if index < state["next_step"]]
        state["config"] = {**state["config"], "scenario": scenario}
        state["names"] = [state["names"][index] for index in kept]
        state["next_step"] = len(learnt)

    def _solve(self) -> None:
        """Solve for the sums as they are now, and put the solution into the state."""
        model: Any = model_of(self.state)
        head = next(m for m in model.modules() if isinstance(m, RidgeHead))
        strength, align = self.option("strength") or "gcv", self.option("align")
        used = fit_head(head, self.sums, self.held, strength, align)
        ridge = {"sums": self.sums.state_dict(), "held": self.held.state_dict()}
        own = {"model": model.state_dict(), "ridge": {**ridge, "strength_used": used}}
        self.state["strategy"] = {**self.state["strategy"], **own}

    def content(self) -> dict[str, Any]:
        """Return the checkpoint's content: tools predict with it, evaluate it and export it.

        Its records of training are left out, as they are of other data.
        """
        content = {key: value for key, value in self.state.items() if key not in ("file", "data")}
        return {**content, "history": {"epochs": 0, "evaluations": 0, "datasets": []}}


def _read(state: object, keep_sets: bool, path: Path) -> StreamSums:
    """Return the sums of a file.

    Raises:
        CheckpointError: They have another form.
    """
    found = StreamSums(keep_sets)
    try:
        if not isinstance(state, Mapping):
            raise TypeError("no sums")
        found.load_state_dict(state)
        for one in found.sets.values():
            size, outputs = one.zy.shape
            shapes = [tuple(getattr(one, name).shape) for name in FIELDS]
            if shapes != [(1,), (1,), (size,), (outputs,), (outputs,), (size, outputs)]:
                raise ValueError(f"shapes {shapes}")
            if any(len(part) != size * (size + 1) // 2 for part in found.products.values()):
                raise ValueError("products of another size")
        if set(found.products) != (set(found.sets) if keep_sets else {""} if found.sets else set()):
            raise ValueError("other sets of products")
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: damaged: its sums cannot be read ({error}). Use another checkpoint."
        ) from error
    return found

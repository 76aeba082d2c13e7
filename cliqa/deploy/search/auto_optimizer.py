"""Search for the deployment that fits a budget, by measuring on the machine at hand.

Which recipe wins depends on the model and on the processor: INT8 makes one network five times
faster and another one slower. So nothing is chosen by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from cliqa.deploy.profiling import Forward, measure_in_turns
from cliqa.deploy.search.pareto import TARGETS, Budget, RecipeResult, choose, pareto_front
from cliqa.deploy.search.recipes import BASELINE, Recipe, standard_recipes
from cliqa.utils.errors import ArtifactError, CliqaError, ConfigError
from cliqa.utils.io import write_json
from cliqa.utils.progress import Phase

STATE = "auto.json"
"""The file that a search resumes from."""

DROP = 0.02
"""Quality that may be lost if no budget sets a limit."""


@dataclass(frozen=True)
class Artifact:
    """The model that was built from a recipe.

    Attributes:
        forward: Runs it: a batch (B, C, H, W) -> outputs.
        bytes: Size of its files.
        file: Where it lies; None where it is not written.
        note: A remark for the table.
    """

    forward: Forward
    bytes: int
    file: Path | None = None
    note: str = ""


Build = Callable[[Recipe], Artifact]
Evaluate = Callable[[Artifact], tuple[float, float | None]]


@dataclass(frozen=True)
class Outcome:
    """The result of a search.

    Attributes:
        rows: The baseline and all recipes, in the order in which they were tried.
        front: Those that no other one beats.
        best: The one that keeps to the budget and is best in the target; None where none is.
        target: The target of the search.
        budget: The limits.
    """

    rows: list[RecipeResult]
    front: list[RecipeResult]
    best: RecipeResult | None
    target: str
    budget: Budget

    def verdict(self) -> str:
        """Return the choice in words, or the limits that each missed if none fits."""
        if self.best is not None:
            row = self.best
            lost = row.drop or 0.0
            change = f"loses {lost:.4f}" if lost >= 0 else f"gains {-lost:.4f}"
            return (
                f"best in {self.target} within the budget: {row.recipe} ({row.smaller:.2f} times "
                f"smaller, {row.faster:.2f} times faster, {change})"
            )
        near = [f"{row.recipe} {', '.join(self.budget.misses(row))}" for row in self.front]
        return "no recipe keeps to the budget:\n" + "\n".join(f"  {line}" for line in near)


class AutoOptimizer:
    """Try recipes, record the measurements, and choose.

    Args:
        target: ``"size"``, ``"latency"`` or ``"quality"``; see `choose`.
        budget: The limits; None for a loss of quality of at most 0.02.
        recipes: The recipes to try; None for `standard_recipes`. A model of fewer channels is
            fine-tuned, which takes most of a search's time.
        rounds: Passes that a time is the median of.
        folder: Where the state goes, so that a stopped search resumes; None to keep nothing.
        fingerprint: Plain values by name that the rows depend on: the model's file, the images, the
            machine.

    Raises:
        ConfigError: `target` is unknown, there is no recipe, or one is given twice.
    """

    def __init__(
        self,
        target: str = "size",
        budget: Budget | None = None,
        recipes: Sequence[Recipe] | None = None,
        *,
        rounds: int = 15,
        folder: str | Path | None = None,
        fingerprint: Mapping[str, Any] | None = None,
    ) -> None:
        if target not in TARGETS:
            raise ConfigError(f"target must be 'size', 'latency' or 'quality', got {target!r}.")
        self.target = target
        self.budget = Budget(max_drop=DROP) if budget is None else budget
        self.recipes = list(standard_recipes() if recipes is None else recipes)
        if not self.recipes:
            raise ConfigError("AutoOptimizer: name at least one recipe.")
        twice = [recipe for recipe in self.recipes if self.recipes.count(recipe) > 1]
        if twice:
            raise ConfigError(
                f"AutoOptimizer: the recipe '{twice[0]}' is given twice. Name each backend and "
                "each share of channels once."
            )
        self.rounds = rounds
        self.folder = None if folder is None else Path(folder)
        self.fingerprint = dict(fingerprint or {})
        self.rows: list[RecipeResult] = []
        self._others: list[RecipeResult] = []  # of recipes that this call does not ask for

    def search(
        self,
        build: Build,
        evaluate: Evaluate,
        batch: Tensor,
    ) -> Outcome:
        """Try all recipes.

        Args:
            build: Builds a recipe's model; a `CliqaError` is recorded, and the search continues.
            evaluate: The quality (SRCC or accuracy) of a model on the images that the choice is
                made by, and on the test sets or None.
            batch: The images (B, C, H, W) that are timed.

        Raises:
            ArtifactError: `folder` has the state of another search.
            CliqaError: The baseline itself fails.
        """
        self.rows = self._kept_rows()
        original = build(BASELINE)
        if not self.rows:
            quality, forward = evaluate(original), original.forward
            self._add(self._measured(BASELINE, original, quality, forward, batch))
        done = {row.recipe for row in self.rows}
        left = [recipe for recipe in self.recipes if recipe not in done and recipe != BASELINE]
        with Phase("recipes", len(left), "recipe") as phase:
            for recipe in left:
                phase.note = recipe.key
                self._add(self._tried(recipe, original.forward, build, evaluate, batch))
                phase.update()
        return self.outcome()

    def outcome(self) -> Outcome:
        """Return the result so far."""
        best = choose(self.rows, self.target, self.budget)
        return Outcome(self.rows, pareto_front(self.rows), best, self.target, self.budget)

    def _tried(
        self, recipe: Recipe, original: Forward, build: Build, evaluate: Evaluate, batch: Tensor
    ) -> RecipeResult:
        """Return the result of a recipe, or why it has none."""
        reason = self._reason_to_skip(recipe)
        if reason:
            return RecipeResult(recipe, note=reason)
        try:
            made = build(recipe)
            quality = evaluate(made)
        except CliqaError as error:
            return RecipeResult(recipe, note=f"failed: {error}")
        return self._measured(recipe, made, quality, original, batch)

    def _measured(
        self,
        recipe: Recipe,
        made: Artifact,
        quality: tuple[float, float | None],
        original: Forward,
        batch: Tensor,
    ) -> RecipeResult:
        """Return the result of a model against the baseline, which is the first row."""
        base_ms, cpu_ms = measure_in_turns(original, made.forward, batch, rounds=self.rounds)
        result = RecipeResult(
            recipe,
            *quality,
            drop=0.0,
            bytes=made.bytes,
            smaller=1.0,
            cpu_ms=base_ms,
            faster=1.0,
            file=None if made.file is None else str(made.file),
            note=made.note,
        )
        if not self.rows:
            return result
        base = self.rows[0]
        faster = base_ms / cpu_ms
        return replace(
            result,
            drop=(base.quality or 0.0) - quality[0],
            smaller=(base.bytes or 0) / made.bytes,
            cpu_ms=(base.cpu_ms or base_ms) / faster,
            faster=faster,
        )

    def _reason_to_skip(self, recipe: Recipe) -> str:
        """Return why a recipe need not be tried: its float32 form already loses too much."""
        limit = self.budget.max_drop
        if recipe.precision == "fp32" or not recipe.pruning or limit is None:
            return ""
        for row in self.rows:
            same = row.recipe.pruning == recipe.pruning and row.recipe.distil == recipe.distil
            if (
                same
                and row.recipe.precision == "fp32"
                and row.drop is not None
                and row.drop > limit
            ):
                return f"skipped: in fp32 it already loses {row.drop:.4f}"
        return ""

    def _add(self, row: RecipeResult) -> None:
        """Keep a row, in the state's file too."""
        self.rows.append(row)
        if self.folder is not None:
            rows = [one.to_row() for one in [*self.rows, *self._others]]
            state = {"fingerprint": self.fingerprint, "rows": rows}
            write_json(self.folder / STATE, state)

    def _kept_rows(self) -> list[RecipeResult]:
        """Return the rows of the same search that was stopped, the baseline first.

        Raises:
            ArtifactError: The state is of another one, or damaged.
        """
        path = None if self.folder is None else self.folder / STATE
        if path is None or not path.is_file():
            return []
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found = dict(state["fingerprint"])
            rows = [RecipeResult.from_row(row) for row in state["rows"]]
        except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
            raise ArtifactError(
                f"{path}: no state of a search ({error}). Delete it: the files beside it are used "
                "again, and measured anew."
            ) from error
        other = [k for k, v in self.fingerprint.items() if k not in found or found[k] != v]
        if other:
            raise ArtifactError(
                f"{path}: of a search that differs in its {', '.join(other)}. Choose another "
                f"folder with --out, or move {path.parent} away to begin anew."
            )
        kept = [row for row in rows if row.valid and _is_there(row)]
        if not any(row.recipe == BASELINE for row in kept):  # times of others are against it
            return []
        kept.sort(key=lambda row: row.recipe != BASELINE)
        asked = {BASELINE, *self.recipes}
        self._others = [row for row in kept if row.recipe not in asked]
        return [row for row in kept if row.recipe in asked]


def _is_there(row: RecipeResult) -> bool:
    """Return whether a row's file still exists, with its weights."""
    if row.file is None:
        return True
    path = Path(row.file)
    return path.exists() and (path.suffix != ".xml" or path.with_suffix(".bin").exists())

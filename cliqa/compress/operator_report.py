"""What a search says about speed: which forms beat float32, and where the time goes.

The comparison is with ONNX Runtime in float32, not with PyTorch, which is slower than both.
"""

from __future__ import annotations

from torch import Tensor

from cliqa.deploy.operator_times import operator_times
from cliqa.deploy.search.auto_optimizer import Outcome
from cliqa.deploy.search.pareto import RecipeResult
from cliqa.deploy.search.recipes import Recipe
from cliqa.evaluation.records.table_styles import Table
from cliqa.evaluation.records.tables import number

FLOAT32 = Recipe()


def against_float32(outcome: Outcome) -> str:
    """Return which forms of the whole network beat ONNX Runtime in float32, in a sentence.

    Returns:
        Empty where that was not measured, or nothing else was.
    """
    reference = next((row for row in outcome.rows if row.recipe == FLOAT32), None)
    others = [row for row in outcome.rows if _is_another_form(row)]
    if reference is None or not reference.faster or not others:
        return ""
    faster = sorted(
        (row for row in others if row.faster and row.faster > reference.faster),
        key=lambda row: -(row.faster or 0.0),
    )
    fitting = [row for row in faster if not outcome.budget.misses(row)]
    if fitting:
        ratios = [f"{row.recipe} ({row.faster / reference.faster:.2f}x)" for row in fitting]  # type: ignore[operator]
        return f"faster than {FLOAT32} within the budget: {', '.join(ratios)}"
    if faster:
        return (
            f"nothing within the budget is faster than {FLOAT32}; {faster[0].recipe} is "
            f"({faster[0].faster / reference.faster:.2f}x)"  # type: ignore[operator]
        )
    return f"no other form is faster than {FLOAT32} here: keep it, or prune"


def operators_table(outcome: Outcome, batch: Tensor, threads: int) -> Table | None:
    """Return the milliseconds of a pass by operator, of float32 and of each form in int8.

    Args:
        outcome: The result of a search.
        batch: The images that it timed.
        threads: Threads of the CPU.

    Returns:
        None where ONNX Runtime's int8 was not measured.
    """
    rows = [row for row in outcome.rows if _has_profile(row)]
    if len(rows) < 2:
        return None
    times = [operator_times(str(row.file), batch, threads=threads) for row in rows]
    kinds = dict.fromkeys(kind for found in times for kind in found)
    lines = [(kind, *(number(found.get(kind), 3) for found in times)) for kind in kinds]
    lines.append(("all", *(number(sum(found.values()), 3) for found in times)))
    header = ("operator", *(f"{row.recipe}: ms" for row in rows))
    return Table("Time by operator", header, tuple(lines))


def _is_another_form(row: RecipeResult) -> bool:
    """Return whether a row is the whole network in another form, measured."""
    recipe = row.recipe
    return row.valid and not recipe.pruning and recipe != FLOAT32 and recipe.backend != "torch"


def _has_profile(row: RecipeResult) -> bool:
    """Return whether a row is a file whose operators are compared."""
    recipe = row.recipe
    wanted = recipe.backend == "onnxruntime" and recipe.precision in ("fp32", "int8")
    return row.valid and row.file is not None and wanted and not recipe.pruning

"""The evaluations that a run over the whole stream would have made before the stream grew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from avalanche.training.templates import SupervisedTemplate

from cliqa.engine.run import Run
from cliqa.engine.work_dir.source import read_source
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


def catch_up(
    strategy: SupervisedTemplate,
    run: Run,
    tested: Callable[[int], Collection[str]],
    evaluate: Callable[[int, Collection[str]], float],
    state: Mapping[str, Any],
) -> None:
    """Evaluate the models of earlier steps on the data sets that have come since.

    A model is read from the checkpoint that is kept of its step. Where that is gone, the cells stay
    undefined, with the reason among the results' warnings. The strategy's state is another one
    afterwards.

    Args:
        strategy: The strategy.
        run: Its records are restored.
        tested: Returns the data sets that the model after a step is tested on.
        evaluate: Evaluates the strategy as the model after a step on some data sets, records it,
            and returns the seconds.
        state: The strategy's state, to be loaded afterwards; its clock counts evaluations too.
    """
    place = {name: index for index, name in enumerate(run.evaluated)}
    rows = {(row["experience"], row["dataset"]) for row in run.evaluations}
    loggers, strategy.evaluator.loggers = strategy.evaluator.loggers, []  # these show what is new
    for step in range(run.next_step):
        missing = [name for name in tested(step) if (step, name) not in rows]
        if not missing or not _shows(strategy, run, step, missing):
            continue
        before = strategy.clock.total_iterations
        run.costs.seconds["eval"][step] += evaluate(step, missing)
        for clock in (own for key, own in state["plugins"].items() if key.endswith(".Clock")):
            clock["total_iterations"] += strategy.clock.total_iterations - before
    # where an evaluation in time would have put them
    run.evaluations.sort(key=lambda row: (row["experience"], place[row["dataset"]]))
    strategy.evaluator.loggers = loggers


def _shows(strategy: SupervisedTemplate, run: Run, step: int, missing: Collection[str]) -> bool:
    """Load the model after an earlier step, and return whether its checkpoint is there."""
    path = run.files.checkpoint_of(step)
    if path.is_file():
        strategy.load_state_dict(read_source(path).state["strategy"])
        return True
    note = f"after step {step + 1} on {', '.join(missing)}: not evaluated, as {path} is gone"
    run.notes.append(note)
    logger.warning("%s", note)
    return False

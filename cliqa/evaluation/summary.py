"""Summary numbers of a score matrix, each with a reason if it is not defined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cliqa.evaluation import matrix
from cliqa.evaluation.matrix import ScoreMatrix, ValueOrReason

JOINT = "joint training sees all data at once"

MEANINGS = {
    "msrcc": "final SRCC, mean over the learnt data sets",
    "average_accuracy": "final accuracy, mean over the learnt data sets",
    "average_accuracy_task_il": "the same where each experience's classes compete alone",
    "forgetting_task_il": "best before the end minus final, of that",
    "anytime": "mean over time of the mean over what was learnt so far",
    "mpi": "plasticity: mean SRCC right after learning",
    "learning_accuracy": "mean accuracy right after learning",
    "msi": "stability: agreement with each data set's first model",
    "bwt": "backward transfer: final minus right after learning",
    "forgetting": "best before the end minus final",
    "forgetting_from_first": "right after learning minus final",
    "unseen": "final mean over data sets never learnt",
    "in_domain": "CLEAR: mean of the diagonal",
    "next_domain": "CLEAR: mean just above the diagonal",
    "accuracy": "CLEAR: mean of the diagonal and below",
    "backward_transfer": "CLEAR: mean below the diagonal",
    "forward_transfer": "CLEAR: mean above the diagonal",
}
"""What each summary number is, for tables; `matrix` has the formulas and their sources."""


@dataclass(frozen=True)
class Summary:
    """Summary numbers by name.

    Attributes:
        values: The numbers; None where one is not defined.
        reasons: Why, for every None.
    """

    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def summarize(
    scores: ScoreMatrix,
    measure: str = "srcc",
    *,
    joint: bool = False,
    stability: Sequence[float | None] | None = None,
    experiences: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
) -> Summary:
    """Summarise a score matrix.

    Args:
        scores: R (T, K) as in `matrix`; NaN or None where not defined.
        measure: ``"srcc"`` gives ``msrcc``, ``mpi`` and ``msi``; any other measure is called
            ``average_<measure>`` and ``learning_<measure>``, and has no ``msi``.
        joint: The model saw all data at once: only the last row counts.
        stability: Stability index of every experience, (T,), as `matrix.stability` gives them.
        experiences: Names of the T experiences, for the reasons.
        datasets: Names of the K data sets, for the reasons.

    Returns:
        The numbers; ``unseen`` only where a data set was never learnt.

    Raises:
        EvaluationError: `scores` is no matrix.
    """
    table = matrix.as_matrix(scores)
    rows, columns = table.shape
    learnt = columns if joint else min(rows, columns)
    final = mean_name(measure)
    found = {
        final: matrix.final_mean(table, learnt),
        "anytime": matrix.anytime_mean(table),
        "mpi" if measure == "srcc" else f"learning_{measure}": matrix.learning_mean(table),
    }
    if measure == "srcc":
        found["msi"] = matrix.stability_mean(stability or ())
    found["bwt"] = matrix.bwt(table)
    found["forgetting"] = matrix.forgetting(table)
    found["forgetting_from_first"] = matrix.forgetting_from_first(table)
    if joint:
        found = {**{name: ValueOrReason(None, JOINT) for name in found}, final: found[final]}
    if columns > learnt:
        found["unseen"] = matrix.unseen_mean(table, learnt)
    return Summary(
        values={name: measured.value for name, measured in found.items()},
        reasons={
            name: _reason(measured, experiences, datasets)
            for name, measured in found.items()
            if measured.value is None
        },
    )


def mean_name(measure: str) -> str:
    """Return the summary's name of a measure's final mean."""
    return "msrcc" if measure == "srcc" else f"average_{measure}"


def _reason(
    measured: ValueOrReason, experiences: Sequence[str] | None, datasets: Sequence[str] | None
) -> str:
    """Return why a number is missing, with the names of the stream if they are known."""
    if measured.cell is None or experiences is None or datasets is None:
        return measured.reason or "not defined"
    t, k = measured.cell
    return f"it is not defined after {experiences[t]} on {datasets[k]}"

"""Summary numbers of a score matrix, each with a reason if it is not defined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cliqa.evaluation import matrix
from cliqa.evaluation.matrix import ScoreMatrix, ValueOrReason

JOINT = "joint training sees all data at once"

MEANINGS = {
    "msrcc": "final SRCC, mean over the learnt data sets",
    "average_accuracy": "final accuracy, mean over the learnt data sets",
    "average_accuracy_task_il": "the same where each experience's classes compete alone",
    "forgetting_task_il": "best before the end minus final, of that",
    "anytime": "mean over time of the mean over what was learnt so far",
    "aaa": "mean over all images as they came of the mean over what was seen so far",
    "mpi": "plasticity: mean SRCC right after learning",
    "learning_accuracy": "mean accuracy right after learning",
    "msi": "stability: agreement with each data set's first model",
    "mpsi": "half plasticity, half stability: mean of mpi and msi",
    "bwt": "backward transfer: final minus right after learning",
    "forgetting": "best before the end minus final",
    "forgetting_from_first": "right after learning minus final",
    "unseen": "final mean over data sets never learnt",
    "unseen_anytime": "the same, mean over all experiences",
    "unseen_gain": "the same, final minus after the first experience",
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
    unseen: int = 0,
    stability: Sequence[float | None] | None = None,
    experiences: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
) -> Summary:
    """Summarise a score matrix.

    Args:
        scores: R (T, K) as in `matrix`; NaN or None where not defined.
        measure: ``"srcc"`` gives ``msrcc``, ``mpi``, ``msi`` and ``mpsi``; any other measure is
            called ``average_<measure>`` and ``learning_<measure>``, and has neither of the last.
        joint: The model saw all data at once: only the last row counts.
        unseen: How many of the last columns are of data sets that are never learnt, however long
            the stream is; 0 if all columns beyond the experiences are.
        stability: Stability index of every experience, (T,), as `matrix.stability` gives them.
        experiences: Names of the T experiences, for the reasons.
        datasets: Names of the K data sets, for the reasons.

    Returns:
        The numbers; ``unseen`` only where a data set was never learnt, ``unseen_anytime`` and
        ``unseen_gain`` only where some are declared so.

    Raises:
        EvaluationError: `scores` is no matrix.
    """
    table = matrix.as_matrix(scores)
    rows, columns = table.shape
    known = columns - unseen
    learnt = known if joint else min(rows, known)
    final = mean_name(measure)
    found = {
        final: matrix.final_mean(table, learnt),
        "anytime": matrix.anytime_mean(table),
        "mpi" if measure == "srcc" else f"learning_{measure}": matrix.learning_mean(table),
    }
    if measure == "srcc":
        found["msi"] = matrix.stability_mean(stability or ())
        found["mpsi"] = matrix.plasticity_stability_mean(table, stability or ())
    found["bwt"] = matrix.bwt(table)
    found["forgetting"] = matrix.forgetting(table)
    found["forgetting_from_first"] = matrix.forgetting_from_first(table)
    if joint:
        found = {**{name: ValueOrReason(None, JOINT) for name in found}, final: found[final]}
    if unseen:
        found |= _generalization(table, known, joint)
    elif columns > learnt:
        found["unseen"] = matrix.unseen_mean(table, learnt)
    return Summary(
        values={name: measured.value for name, measured in found.items()},
        reasons={
            name: _reason(measured, experiences, datasets)
            for name, measured in found.items()
            if measured.value is None
        },
    )


def _generalization(table: np.ndarray, known: int, joint: bool) -> dict[str, ValueOrReason]:
    """Return the means over the columns from `known` on, of data sets that are never learnt."""
    means = [matrix.unseen_mean(table[: t + 1], known) for t in range(len(table))]
    found = {"unseen": means[-1]}
    if joint:
        return found
    missing = next((mean for mean in means if mean.value is None), None)
    values = [mean.value for mean in means if mean.value is not None]
    found["unseen_anytime"] = missing or ValueOrReason(float(np.mean(values)))
    found["unseen_gain"] = missing or ValueOrReason(values[-1] - values[0])
    return found


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

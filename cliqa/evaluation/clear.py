"""The five measures of CLEAR (Lin et al. 2021) on an accuracy matrix over time."""

from __future__ import annotations

import numpy as np

from cliqa.evaluation.matrix import ScoreMatrix, as_matrix
from cliqa.utils.errors import EvaluationError


def clear_measures(scores: ScoreMatrix) -> dict[str, float | None]:
    """Return CLEAR's five measures under the names that Avalanche gives them.

    Args:
        scores: R (T, T): accuracy on the test data of bucket k after training on bucket t; NaN or
            None where it was not evaluated (the streaming protocol has only what lies ahead).

    Returns:
        ``in_domain``: mean of the diagonal; ``next_domain``: of the cells just above it;
        ``accuracy``: of the diagonal and all below; ``backward_transfer``: of all below;
        ``forward_transfer``: of all above. None where there is no such cell or one is not defined.

    Raises:
        EvaluationError: The matrix is not square.

    >>> measures = clear_measures([[0.9, 0.7], [0.8, 1.0]])
    >>> round(measures["in_domain"], 2), round(measures["accuracy"], 2)
    (0.95, 0.9)
    """
    matrix = as_matrix(scores)
    if matrix.shape[0] != matrix.shape[1]:
        raise EvaluationError(
            f"CLEAR's measures need one test set per bucket: a square matrix, got {matrix.shape}."
        )
    size = matrix.shape[0]
    cells = {
        "in_domain": np.diag(matrix),
        "next_domain": np.diag(matrix, k=1),
        "accuracy": matrix[np.tril_indices(size)],
        "backward_transfer": matrix[np.tril_indices(size, k=-1)],
        "forward_transfer": matrix[np.triu_indices(size, k=1)],
    }
    return {
        name: float(values.mean()) if values.size and not np.isnan(values).any() else None
        for name, values in cells.items()
    }

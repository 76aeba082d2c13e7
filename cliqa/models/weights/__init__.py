"""Loading weights from a file into a model, with a report of matched and missing tensors.

Reading a file safely is in `cliqa.utils.checkpoint`.
"""

from cliqa.models.weights.weights import load_weights

__all__ = ["load_weights"]

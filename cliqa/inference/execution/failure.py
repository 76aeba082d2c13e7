"""What is told when a model or its preprocessing fails: its file may hold any settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from cliqa.utils.errors import CliqaError, ModelError, first_line, is_out_of_memory


@contextmanager
def failure_told(what: str, images: Sequence[Tensor]) -> Iterator[None]:
    """Let what torch raises over images be one line.

    Args:
        what: What computes: the name of a model's file, or of its preprocessing.
        images: What it is given.

    Raises:
        ModelError: The block has failed, and not for want of memory.
    """
    try:
        yield
    except CliqaError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        if is_out_of_memory(error):
            raise
        shapes = " and ".join(sorted({" x ".join(map(str, one.shape)) for one in images})[:2])
        raise ModelError(
            f"{what}: fails on an image of {shapes} values ({first_line(error)}). The image is too "
            "small for it, or the settings in the model's file are wrong."
        ) from error

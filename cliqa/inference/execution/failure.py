"""What is told when a network fails on images: its file may hold any settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from cliqa.utils.errors import CliqaError, ModelError, first_line, is_out_of_memory


@contextmanager
def failure_told(file: str, images: Sequence[Tensor]) -> Iterator[None]:
    """Let what torch raises over images be one line that names the model's file.

    Args:
        file: The name of the model's file.
        images: What the network is given.

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
            f"{file}: its network cannot compute an image of {shapes} values "
            f"({first_line(error)}). The image is too small for it, or the file's settings do not "
            "fit its weights."
        ) from error

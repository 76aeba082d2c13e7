"""What a store of pixels does."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class PixelStore(Protocol):
    """Images by file, uint8 (C, H, W), after the fixed steps of one pipeline.

    A store may lose an image at any time; it never gives a wrong one.
    """

    def get(self, file: str) -> Tensor | None:
        """Return an image, not to be written to; None if it is not there."""

    def put(self, file: str, image: Tensor) -> None:
        """Keep an image, if there is room."""


class NothingKept:
    """A store without room."""

    def get(self, file: str) -> Tensor | None:
        """Return None."""

    def put(self, file: str, image: Tensor) -> None:
        """Do nothing."""

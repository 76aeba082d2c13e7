"""Failed downloads of pretrained weights, with advice that names the config's own keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cliqa.utils.errors import ModelError


class NoDownloadError(ModelError):
    """Published weights cannot be downloaded.

    Args:
        weights: The weights, in words.
        reason: The error of the download.
        file: What to download on another machine, in words.
        option: The option that takes a file instead.
        none: The value of that option that starts from random weights.
        of_model: Whether `option` is one of the model; else it is one of its backbone.
    """

    def __init__(
        self,
        weights: str,
        reason: str,
        file: str,
        option: str = "weights",
        none: str = "None",
        of_model: bool = False,
    ) -> None:
        reason = " ".join(reason.split())
        super().__init__(
            f"{weights} cannot be downloaded ({reason}). Download {file} on another "
            f"machine and give that file instead: {option}='path/of/the/file'."
        )
        self.details = weights, reason, file
        self.option = option
        self.none = none
        self.of_model = of_model


@contextmanager
def file_given_as(option: str) -> Iterator[None]:
    """Name a model's option in the advice for a failed download, in place of its backbone's.

    Args:
        option: The option that takes a file of weights.
    """
    try:
        yield
    except NoDownloadError as error:
        raise NoDownloadError(*error.details, option, "False", True) from error


@contextmanager
def keys_below(where: str) -> Iterator[None]:
    """Name the config's key in the advice for a failed download, and how to do without weights.

    Args:
        where: The model's key path.
    """
    try:
        yield
    except NoDownloadError as error:
        key = error.option if error.of_model else f"backbone.{error.option}"
        shown = str(error).replace(f" {error.option}=", f" {where}.{key}=")
        raise ModelError(
            f"{shown.rstrip('.')}; or {where}.{key}={error.none} to start from random weights."
        ) from error

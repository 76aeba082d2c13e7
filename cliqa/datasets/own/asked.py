"""What a label file leaves open, and the option by which a user answers."""

from __future__ import annotations

from collections.abc import Sequence

from cliqa.utils.errors import DatasetError


class OpenQuestion(DatasetError):  # noqa: N818  a question to the user
    """Something that cannot be guessed: the user answers it by an option.

    Args:
        where: The label file.
        question: What is open, and why.
        key: The data set's key that answers it.
        answers: Likely values as the command line writes them, the likeliest first.
        place: The data set's place in the stream.
    """

    def __init__(
        self, where: object, question: str, key: str, answers: Sequence[str], place: int
    ) -> None:
        first, *others = [f"scenario.datasets.{place}.{key}={answer}" for answer in answers]
        also = f" (or {', or '.join(others)})" if others else ""
        super().__init__(f"{where}: {question} Add --cfg-options {first}{also}.")

"""Errors that a user can act on."""

import re

_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST_WORD = 1000


class CliqaError(Exception):
    """A mistake in the input: shown as its message alone, never as a traceback.

    A message may quote what a damaged file holds: control characters are shown as escapes, and of
    an endless word only its beginning.
    """

    def __str__(self) -> str:
        text = super().__str__()
        text = _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
        return re.sub(
            rf"(\S{{60}})\S{{{_LONGEST_WORD - 60},}}",
            lambda found: f"{found[1]}... ({len(found[0])} characters)",
            text,
        )


class ConfigError(CliqaError):
    """A config, an option or an argument is wrong."""


class DatasetError(CliqaError):
    """A label file or an image is wrong or missing."""


class ModelError(CliqaError):
    """A model cannot be built, or weights do not fit it."""


class CheckpointError(CliqaError):
    """A checkpoint cannot be read, or belongs to another run."""


class EvaluationError(CliqaError):
    """Predictions and targets cannot be compared."""


class ArtifactError(CliqaError):
    """A file of a work_dir is missing or damaged."""


class MachineError(CliqaError):
    """A machine has too little of something, and what to ask of it instead is known."""


class TrustError(CliqaError):
    """A file asks for what it may have only where the user trusts it."""

"""Errors that a user can act on."""


class CliqaError(Exception):
    """A mistake in the input: shown as its message alone, never as a traceback."""


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


class TrustError(CliqaError):
    """A file asks for what it may have only where the user trusts it."""

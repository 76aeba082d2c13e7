"""Continual learning for image quality assessment.

The functions named in ``__all__`` are the public Python API. They are loaded on first use, so that
``import cliqa`` takes no time: a config's checks and ``--help`` must not wait for torch.
"""

from cliqa.moved import install as _install

__version__ = "0.1.0"

_HOMES = {
    "AVADataset": "cliqa.datasets.quality.by_path",
    "AutoOptimizer": "cliqa.api.deployment",
    "ContinualLearningFramework": "cliqa.training.own_loop.framework",
    "ContinualLearningStrategy": "cliqa.training.own_loop.strategies",
    "ContinualTrainer": "cliqa.api.trainer",
    "EVADataset": "cliqa.datasets.quality.by_path",
    "SyntheticDegradation": "cliqa.transforms.degradations.synthetic",
    "create_lightweight_model": "cliqa.models.lightweight",
    "create_multimodal_model": "cliqa.models.language.create",
    "evaluate": "cliqa.api.evaluation",
    "extend": "cliqa.api.extension",
    "load": "cliqa.api.models",
    "plugin": "cliqa.api.plugins",
    "push_to_hub": "cliqa.api.hub",
    "quantize_model": "cliqa.api.deployment",
    "results": "cliqa.api.results",
    "study_results": "cliqa.api.studies",
    "train": "cliqa.api.runs",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605

_install()


def __getattr__(name: str) -> object:
    """Load a part of the public API."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cliqa' has no attribute '{name}'. It has {__all__}.")
    return getattr(__import__(_HOMES[name], fromlist=[name]), name)


def __dir__() -> list[str]:
    """Return the names of the module, those that are not loaded yet too."""
    return sorted({*globals(), *__all__})

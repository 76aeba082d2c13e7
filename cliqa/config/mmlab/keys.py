"""mmengine's top-level keys, and what to set for each of them here.

They are refused rather than ignored, in files as on the command line, with our key for the value
that was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cliqa.config.mmlab.optimization import optim_wrapper, param_scheduler
from cliqa.config.mmlab.translation import Translation, as_dict, as_dicts, unknown
from cliqa.config.values import as_code

Translate = Callable[[Any], Translation]

ALWAYS = {"timer", "param_scheduler", "sampler_seed", "runtime_info"}
"""Default hooks whose work is always done."""

ONE_PROCESS = "a run is one process on one device (--device)"


def _says(*reasons: str) -> Translate:
    """Return a translation without settings."""
    return lambda _: Translation(lost=list(reasons))


def _nothing(_: object) -> Translation:
    """Return the translation of a key that only mmengine needs."""
    return Translation()


def environment(value: object) -> Translation:
    """Return our keys for ``env_cfg``."""
    given, found = as_dict(value), Translation()
    if "cudnn_benchmark" in given:
        found.settings["cudnn_benchmark"] = given["cudnn_benchmark"]
    if "mp_cfg" in given:
        found.lost.append("mp_cfg: num_workers says how many processes read images")
    if "dist_cfg" in given:
        found.lost.append(f"dist_cfg: {ONE_PROCESS}")
    found.lost += unknown(
        "env_cfg", given, {"cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"}
    )
    return found


def early_stopping(value: object) -> Translation:
    """Return our keys for an ``EarlyStoppingHook`` or a number of epochs to wait."""
    given = as_dict(value) or ({"patience": value} if isinstance(value, int) else {})
    found = Translation({"cl_strategy.patience": given.get("patience", 5)})
    if given.get("min_delta"):
        found.settings["cl_strategy.min_delta"] = given["min_delta"]
    if given.get("monitor"):
        found.lost.append("the validation split's SRCC or accuracy is watched, by epoch")
    return found


def checkpoints(value: object) -> Translation:
    """Return our keys for a ``CheckpointHook``."""
    given, found = as_dict(value), Translation()
    names = {"interval": "interval", "max_keep_ckpts": "keep"}
    for theirs, ours in names.items():
        if given.get(theirs, -1) not in (-1, None):
            found.settings[f"checkpoint_config.{ours}"] = given[theirs]
    if given.get("save_best"):
        found.settings["cl_strategy.keep_best"] = True
    if given.get("by_epoch") is False:
        found.lost.append("checkpoint_config.interval counts epochs")
    return found


HOOKS: dict[str, Translate] = {
    "CheckpointHook": checkpoints,
    "EarlyStoppingHook": early_stopping,
    "EMAHook": lambda hook: Translation(
        {
            "cl_strategy.plugins": [
                {"type": "EMA", "decay": round(1 - float(hook.get("momentum", 0.0002)), 9)}
            ]
        }
    ),
    "LoggerHook": _says("loggers=[dict(type='TextLogger'), ...] write every epoch"),
    "VisualizationHook": _says("loggers and cliqa data browse show what mmengine's hook does"),
    "DistSamplerSeedHook": _nothing,
    "IterTimerHook": _nothing,
    "ParamSchedulerHook": _nothing,
}
"""mmengine's hooks that have a counterpart; an EMA's momentum is the share of the new weights."""


def hooks(value: object) -> Translation:
    """Return our keys for ``custom_hooks``, or for the values of ``default_hooks``."""
    found = Translation()
    for hook in as_dicts(value):
        name = str(hook.get("type"))
        if name in HOOKS:
            found.add(HOOKS[name](hook))
        else:
            found.lost.append(
                f"{name}: hooks are plugins here, cl_strategy.plugins=[dict(type=...)]"
            )
    return found


def default_hooks(value: object) -> Translation:
    """Return our keys for ``default_hooks``, whose ``type`` may be left out."""
    names = {"checkpoint": "CheckpointHook", "logger": "LoggerHook"}
    names |= {"early_stopping": "EarlyStoppingHook", "visualization": "VisualizationHook"}
    listed = [
        {"type": names.get(key, key), **as_dict(hook)}
        for key, hook in as_dict(value).items()
        if key not in ALWAYS
    ]
    return hooks(listed)


def train_loader(value: object) -> Translation:
    """Return our keys for a ``train_dataloader``; its data set needs a scenario."""
    given, found = as_dict(value), Translation()
    names = {"batch_size": "cl_strategy.train_mb_size", "num_workers": "num_workers"}
    for theirs, ours in names.items():
        if theirs in given:
            found.settings[ours] = given[theirs]
    if "dataset" in given:
        found.lost.append(
            "the data set belongs into scenario (datasets, dataset_root), its pipeline into "
            "scenario.train_transform"
        )
    return found


def eval_loader(value: object) -> Translation:
    """Return our keys for a ``val_dataloader`` or ``test_dataloader``."""
    given, found = as_dict(value), Translation()
    if "batch_size" in given:
        found.settings["cl_strategy.eval_mb_size"] = given["batch_size"]
    if "dataset" in given:
        found.lost.append(
            "the data set belongs into scenario (a data set has all its splits), its pipeline into "
            "scenario.eval_transform"
        )
    return found


def train_loop(value: object) -> Translation:
    """Return our keys for ``train_cfg``, or a number of epochs."""
    given = as_dict(value) or ({"max_epochs": value} if isinstance(value, int) else {})
    found = Translation()
    names = {"max_epochs": "train_epochs", "val_interval": "validate_every"}
    for theirs, ours in names.items():
        if theirs in given:
            found.settings[f"cl_strategy.{ours}"] = given[theirs]
    if "max_iters" in given:
        found.lost.append("lengths are epochs here: cl_strategy.train_epochs")
    return found


def randomness(value: object) -> Translation:
    """Return our keys for ``randomness``."""
    given, found = as_dict(value), Translation()
    if given.get("seed") is not None:
        found.settings["seed"] = given["seed"]
    if given.get("deterministic"):
        found.settings["deterministic"] = True
    if given.get("diff_rank_seed"):
        found.lost.append(ONE_PROCESS)
    return found


def preprocessor(value: object) -> Translation:
    """Return advice for a ``data_preprocessor``: normalisation is a transform here."""
    given = as_dict(value)
    if "mean" not in given and "std" not in given:
        return Translation(lost=["scenario.train_transform and eval_transform normalise images"])
    step = as_code(normalisation(given))
    return Translation(
        lost=[f"end scenario.train_transform and scenario.eval_transform with {step}"]
    )


def normalisation(preprocessor: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``Normalize`` step of a ``data_preprocessor``, whose levels are 0..255.

    >>> normalisation({"mean": [127.5], "std": [51.0]})
    {'type': 'Normalize', 'mean': [0.5], 'std': [0.2]}
    """
    given = {"mean": [0.0] * 3, "std": [255.0] * 3, **preprocessor}
    mean, std = ([round(float(x) / 255, 6) for x in given[key]] for key in ("mean", "std"))
    return {"type": "Normalize", "mean": mean, "std": std}


def evaluator(value: object) -> Translation:
    """Return our metrics for a ``val_evaluator``."""
    types = [str(metric["type"]) for metric in as_dicts(value) if "type" in metric]
    names = ", ".join(types) or "an evaluator"
    return Translation(
        lost=[
            f"instead of {names} write metrics=[dict(type='accuracy_metrics', experience=True)], "
            "or dict(type='quality_metrics') for scores"
        ]
    )


KEYS: Mapping[str, Translate] = {
    "env_cfg": environment,
    "early_stopping": early_stopping,
    "default_hooks": default_hooks,
    "custom_hooks": hooks,
    "train_dataloader": train_loader,
    "data": train_loader,
    **dict.fromkeys(("val_dataloader", "test_dataloader"), eval_loader),
    "optim_wrapper": optim_wrapper,
    "param_scheduler": param_scheduler,
    **dict.fromkeys(("train_cfg", "max_epochs", "total_epochs", "epochs", "runner"), train_loop),
    **dict.fromkeys(("val_cfg", "test_cfg"), _nothing),
    **dict.fromkeys(("val_evaluator", "test_evaluator"), evaluator),
    "randomness": randomness,
    "data_preprocessor": preprocessor,
    **dict.fromkeys(("launcher", "dist_params", "gpu_ids"), _says(ONE_PROCESS)),
    **dict.fromkeys(("find_unused_parameters", "mp_start_method"), _says(ONE_PROCESS)),
    **dict.fromkeys(("opencv_num_threads", "runner_type", "workflow", "default_scope"), _nothing),
    "resume": _says("to resume a run, add --resume to the command line"),
    "resume_from": _says("to resume a run, add --resume PATH to the command line"),
    "device": _says("the device is chosen on the command line: --device"),
    **dict.fromkeys(
        ("visualizer", "vis_backends", "log_config", "log_processor", "log_level"),
        _says("what a run writes is in loggers=[dict(type='TextLogger'), ...]"),
    ),
    **dict.fromkeys(
        ("tta_model", "tta_pipeline", "tta_cfg"),
        _says("several test crops: scenario.eval_transform with dict(type='GridCrop', size=224)"),
    ),
    "fp16": lambda _: Translation({"amp": "float16"}),
    "bf16": lambda _: Translation({"amp": "bfloat16"}),
    "experiment_name": lambda name: Translation({"work_dir": f"work_dirs/{name}"}),
    "compile": _says("models are not compiled"),
}
"""Every top-level key of mmengine that is not one of ours."""


def translate(name: str, value: object) -> Translation | None:
    """Return what to write for a top-level key of mmengine, None for another name.

    >>> str(translate("randomness", {"seed": 3, "deterministic": True}))
    'Set seed=3, deterministic=True.'
    """
    if name not in KEYS:
        return None
    try:
        return KEYS[name](value)
    except (TypeError, ValueError):  # numbers that are none
        return Translation(lost=[f"{name} cannot be read"])

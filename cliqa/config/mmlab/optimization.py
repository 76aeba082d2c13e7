"""``optim_wrapper`` and ``param_scheduler``: the optimizer, its steps, and the learning rate."""

from __future__ import annotations

from typing import Any

from cliqa.config.mmlab.translation import Translation, as_dict, as_dicts, unknown

OF_MMPRETRAIN = {
    "Adan": "mmpretrain.engine.optimizers.adan_t.Adan",
    "LARS": "mmpretrain.engine.optimizers.lars.LARS",
    "Lamb": "mmpretrain.engine.optimizers.lamb.Lamb",
}
"""mmpretrain's optimizers by their full names, as torch has none of them."""

SCHEDULERS = {
    "MultiStepLR": ("milestones", "gamma"),
    "StepLR": ("step_size", "gamma"),
    "ExponentialLR": ("gamma",),
    "CosineAnnealingLR": ("eta_min", "eta_min_ratio", "T_max"),
}
"""mmengine's main schedulers, and the arguments that are carried over."""


def optim_wrapper(value: object) -> Translation:
    """Return our keys for an ``optim_wrapper``; ``paramwise_cfg`` needs the model and is left out.

    >>> optim_wrapper({"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 4}).settings
    {'cl_strategy.optimizer': {'type': 'SGD', 'lr': 0.1}, 'cl_strategy.accumulate': 4}
    """
    given = as_dict(value)
    found = Translation()
    optimizer = as_dict(given.get("optimizer"))
    if optimizer and "type" not in optimizer:  # single options of the command line
        found.settings |= {f"cl_strategy.optimizer.{key}": item for key, item in optimizer.items()}
    elif optimizer:
        name = str(optimizer["type"])
        found.settings["cl_strategy.optimizer"] = {
            **optimizer,
            "type": OF_MMPRETRAIN.get(name, name),
        }
    if given.get("accumulative_counts", 1) != 1:
        found.settings["cl_strategy.accumulate"] = given["accumulative_counts"]
    clip = as_dict(given.get("clip_grad"))
    if clip.get("max_norm") is not None:
        found.settings["cl_strategy.clip_grad_norm"] = clip["max_norm"]
    if clip.get("norm_type", 2) != 2 or clip.get("type", "norm") != "norm":
        found.lost.append("gradients are clipped by their Euclidean norm alone")
    wrapper = str(given.get("type", "OptimWrapper"))
    if wrapper == "AmpOptimWrapper":
        found.settings["amp"] = _precision(given.get("dtype"))
    elif wrapper != "OptimWrapper":
        found.lost.append(f"optim_wrapper.type={wrapper!r} has no counterpart")
    if "paramwise_cfg" in given:
        found.lost.append(
            "paramwise_cfg becomes rules of cl_strategy.optimizer: paramwise=[dict(match='*.bias', "
            "weight_decay=0.0)]"
        )
    known = {"optimizer", "accumulative_counts", "clip_grad", "type", "dtype", "paramwise_cfg"}
    found.lost += unknown("optim_wrapper", given, known | {"loss_scale", "constructor"})
    return found


def _precision(dtype: object) -> str | bool:
    """Return our ``amp`` for the ``dtype`` of an AmpOptimWrapper."""
    return str(dtype) if dtype in ("float16", "bfloat16") else True


def param_scheduler(value: object, rate: object = None) -> Translation:
    """Return our keys for a ``param_scheduler``.

    A linear warm-up with a cosine is `CosineLR`; other main schedulers have torch's names, and
    lose the warm-up.

    Args:
        value: One scheduler or a list of them.
        rate: The optimizer's learning rate, which the cosine's end is a share of.

    >>> steps = [{"type": "LinearLR", "end": 5}, {"type": "CosineAnnealingLR", "begin": 5}]
    >>> param_scheduler(steps).settings["cl_strategy.scheduler"]
    {'type': 'CosineLR', 'by': 'iteration', 'warmup_epochs': 5, 'end_ratio': 0.0}
    """
    found = Translation()
    warm, main = None, None
    for scheduler in as_dicts(value):
        name = scheduler.get("type")
        if name is None:  # single options of the command line
            found.settings |= {
                f"cl_strategy.scheduler.{key}": item
                for key, item in scheduler.items()
                if any(key in known for known in SCHEDULERS.values())
            }
            if len(found.settings) < len(scheduler):
                found.lost.append("the schedule is cl_strategy.scheduler=dict(type=...)")
        elif name == "LinearLR" and warm is None and not scheduler.get("begin"):
            warm = scheduler
        elif name in SCHEDULERS and main is None:
            main = scheduler
        elif name == "ConstantLR" and scheduler.get("factor", 1.0) == 1.0:
            continue
        else:
            found.lost.append(f"the scheduler {name} beside another one has no counterpart")
    if main is not None:
        found.add(_main(main, warm, rate))
    elif warm is not None:
        found.lost.append("a warm-up without another scheduler has no counterpart")
    return found


def _main(main: dict[str, Any], warm: dict[str, Any] | None, rate: object) -> Translation:
    """Return the main scheduler, a cosine with its warm-up."""
    if main["type"] == "CosineAnnealingLR":
        return _cosine(main, warm, rate)
    found = Translation()
    if main.get("by_epoch", True) is False:
        found.lost.append(f"{main['type']} counts epochs here, not iterations")
        return found
    kept = {key: main[key] for key in SCHEDULERS[main["type"]] if key in main}
    scheduler = {"type": main["type"], **kept}
    found.settings["cl_strategy.scheduler"] = scheduler
    if warm is not None:
        found.lost.append(
            f"the linear warm-up before {main['type']} is left out: CosineLR alone has "
            "warmup_epochs"
        )
    return found


def _cosine(main: dict[str, Any], warm: dict[str, Any] | None, rate: object) -> Translation:
    """Return `CosineLR` for a cosine."""
    found = Translation()
    scheduler: dict[str, Any] = {"type": "CosineLR", "by": "iteration"}
    by_epoch = main.get("by_epoch", True) and (warm or {}).get("by_epoch", True)
    if by_epoch and not main.get("convert_to_iter_based") and warm is None:
        scheduler["by"] = "epoch"
    if warm is not None and warm.get("by_epoch", True) and warm.get("end") is not None:
        scheduler["warmup_epochs"] = warm["end"]
    elif warm is not None:
        found.lost.append(f"a warm-up of {warm.get('end')} iterations is left out: set epochs")
    scheduler["end_ratio"] = _share(main, rate, found)
    found.settings["cl_strategy.scheduler"] = scheduler
    return found


def _share(main: dict[str, Any], rate: object, found: Translation) -> float:
    """Return a cosine's last rate as a share of the first one."""
    if main.get("eta_min_ratio") is not None:
        return float(main["eta_min_ratio"])
    end = main.get("eta_min") or 0.0
    if not end or not isinstance(rate, (int, float)) or not rate:
        if end:
            found.lost.append(f"eta_min={end!r} becomes end_ratio, a share of the first rate")
        return 0.0
    return float(f"{end / rate:.6g}")

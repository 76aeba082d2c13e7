"""Prune a finished run, fine-tune it on the stream's training data, and evaluate it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cliqa.compress.pruning_record import FILE_NAME, NOT_FINE_TUNED, PruningRecord, pruning_table
from cliqa.compress.pruning_start import START, parts_of, state_of
from cliqa.config.trust import built_from
from cliqa.deploy.pruning.prune import check_values, prune_channels
from cliqa.engine.build import Parts, build
from cliqa.engine.experiment import evaluate_stream
from cliqa.engine.run import Run
from cliqa.engine.sections import OPTIONS, resamples, template_arguments
from cliqa.engine.train import train
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run, model_of
from cliqa.engine.work_dir.data_record import record_of
from cliqa.engine.work_dir.holding import only_one
from cliqa.engine.work_dir.same_run import check_same_data
from cliqa.engine.work_dir.saved_config import config_to_build
from cliqa.evaluation.records.results import read_artifact
from cliqa.models.fake_quantization import remove_rounding
from cliqa.models.lora.adapters import merge
from cliqa.training.loop.batching import collate_train
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import ArtifactError, CheckpointError, ConfigError
from cliqa.utils.io import sha256_of, write_json
from cliqa.utils.logging import get_logger, setup_logging

logger = get_logger(__name__)

PRUNING_LOCK = ".pruning.lock"
"""Held throughout; the run of the fine-tuning in the same folder holds its own."""


def prune_run(
    checkpoint: str | Path,
    *,
    ratio: float,
    out: str | Path,
    epochs: int,
    steps: int = 1,
    distil: bool = True,
    strength: float = 1.0,
    round_to: int = 16,
    importance: str = "magnitude",
    ignore: Sequence[str] = (),
    device: str = "auto",
    allow_changed_data: bool = False,
) -> dict[str, Any]:
    """Prune a finished run's model and fine-tune it on the union of the stream's training data.

    The fine-tuning is a run of its own, with the optimizer, the schedule and the loss of the one
    that is pruned, in a work_dir that all tools read. Adapters of LoRA are merged first, other
    plugins are left out, `QAT` too, and what ``load_from`` froze trains, for it has lost channels.
    Called again after a stop, it resumes: finished steps are kept.

    Args:
        checkpoint: The run's work_dir, or one of its checkpoints.
        ratio: Share of the channels that is removed in all, 0..1; see `prune_channels`.
        out: The new work_dir.
        epochs: Epochs over the union after each step; 0 leaves the network as pruning left it,
            which the report says.
        steps: In how many steps the channels go, each followed by its fine-tuning.
        distil: Let the unpruned model teach (`Distillation`).
        strength: Factor of the distance from the teacher.
        round_to: See `prune_channels`.
        importance: See `prune_channels`.
        ignore: See `prune_channels`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        allow_changed_data: Fine-tune and measure on other data than the run's; the report says so.

    Returns:
        The content of pruning.json in the new work_dir: the settings, parameters, MACs and widths,
        and the main measure of every data set before, after pruning, and after fine-tuning.

    Raises:
        CliqaError: The run cannot be pruned, a value is out of range, or the folder holds another
            pruning.
    """
    setup_logging()
    check_values(ratio, round_to, importance)
    _check_counts(steps, epochs)
    source, out = find_checkpoint(checkpoint), Path(out)
    state = load_run(source)
    _check_run(state, source)
    settings = {
        "source": str(source),
        "source_sha256": sha256_of(source),
        "ratio": ratio,
        "steps": steps,
        "epochs": epochs,
        "distil": distil,
        "strength": strength,
        "round_to": round_to,
        "importance": importance,
        "ignore": list(ignore),
    }
    _check_folder(out, source, settings)
    return _prune(state, source, out, settings, device, allow_changed_data)


def _prune(
    state: dict[str, Any],
    source: Path,
    out: Path,
    settings: dict[str, Any],
    device: str,
    changed: bool,
) -> dict[str, Any]:
    """Prune and fine-tune in a folder that is held from the first file on."""
    epochs, steps, distil = settings["epochs"], settings["steps"], settings["distil"]
    teacher = source if distil else None
    config = fine_tuning(config_to_build(state), epochs, teacher, settings["strength"])
    model = merged(state)
    with built_from(source):
        parts = parts_of(model, config, out, resolve_device(device))
    data = check_same_data(source, state.get("data"), record_of(parts.benchmark), changed)
    record = PruningRecord(settings, parts, model, data.changes)
    example = _example(parts)
    options = {key: settings[key] for key in ("round_to", "importance", "ignore")}
    with ExitStack() as held:
        for number in range(1, steps + 1):
            folder = out if number == steps else out / "steps" / f"step_{number}"
            ratio = step_ratio(settings["ratio"], number, steps)
            step = prune_channels(model, example, ratio=ratio, **options, seed=config["seed"])
            if number == 1:
                held.enter_context(only_one(out, "pruning", PRUNING_LOCK))
                _check_folder(out, source, settings)  # again: nobody else writes it from now on
            logger.info("step %d of %d: %s", number, steps, step)
            record.add(step, model)
            write_json(out / FILE_NAME, record.content(finished=False))
            _tune(model, config, folder, epochs, device, changed)
            model = model_of(load_run(find_checkpoint(folder))).to(parts.device)
        content = record.finished(model)
        write_json(out / FILE_NAME, content)
    for line in pruning_table(content).splitlines():
        logger.info("%s", line)
    return content


def _tune(
    model: nn.Module, config: dict[str, Any], folder: Path, epochs: int, device: str, changed: bool
) -> None:
    """Fine-tune a pruned network in a run of its own, or only measure it."""
    start = (folder / START).resolve()
    start.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(start, state_of(model))
    own = {**config, "load_from": str(start)}
    with built_from(start):
        if epochs:
            again: dict[str, Any] = {"resume": "auto", "allow_changed_data": changed}
            train(own, config_file=folder / "config.py", work_dir=folder, device=device, **again)
        else:
            _measure(own, folder, resolve_device(device), changed)


def _measure(config: dict[str, Any], folder: Path, device: torch.device, changed: bool) -> None:
    """Write the run of a network that is not fine-tuned: its measures and its checkpoint."""
    parts = build(config, device, folder)
    run = Run(
        folder,
        config,
        "auto",
        bootstrap=resamples(config),
        data=record_of(parts.benchmark),
        allow_changed_data=changed,
    )
    with run:
        run.begin(str(device), [NOT_FINE_TUNED])
        (experiences,) = parts.strategy.steps(parts.benchmark.train_stream)
        run.start(parts.strategy, parts.benchmark, ["+".join(e.name for e in experiences)])
        learnt = {e.current_experience for e in experiences}
        if not run.next_step:
            run.finish_step(parts.strategy, 0, evaluate_stream(parts, run, 0, learnt))
        run.finish()


def step_ratio(ratio: float, step: int, steps: int) -> float:
    """Return which share of the present channels a step removes, for equal steps in all.

    >>> [round(step_ratio(0.5, k, 2), 3) for k in (1, 2)]
    [0.25, 0.333]
    """
    return 1 - (1 - ratio * step / steps) / (1 - ratio * (step - 1) / steps)


def fine_tuning(
    config: Mapping[str, Any], epochs: int, teacher: Path | None, strength: float = 1.0
) -> dict[str, Any]:
    """Return the config of a run's fine-tuning: joint training with the run's own settings.

    Args:
        config: The run's.
        epochs: Epochs over the union of its training data; 0 for a network that is only measured.
        teacher: The checkpoint that teaches, None for no teacher.
        strength: Factor of the distance from it.
    """
    section = config["cl_strategy"]
    parts = ("optimizer", "scheduler", "loss")
    kept = {key: section[key] for key in (*parts, *OPTIONS) if key in section}
    strategy = {
        "type": "JointTraining",
        **template_arguments(section),
        **kept,
        "train_epochs": max(1, epochs),
    }
    if teacher is not None and epochs:
        path = str(teacher.resolve())
        strategy["plugins"] = [{"type": "Distillation", "teacher": path, "strength": strength}]
    return {**config, "cl_strategy": strategy, "work_dir": None}


def merged(state: dict[str, Any]) -> nn.Module:
    """Return a checkpoint's model as a plain network, without adapters and the rounding of QAT."""
    model = model_of(state)
    remove_rounding(model)
    merge(model)
    return model


def _example(parts: Parts) -> torch.Tensor:
    """Return an image (1, C, H, W) as the model sees it in training."""
    data = parts.benchmark.dataset(parts.benchmark.names[0], "train")
    images: torch.Tensor = collate_train([data[0]])[0]
    return images.flatten(0, -4)[:1].to(parts.device)


def _check_counts(steps: int, epochs: int) -> None:
    """Refuse numbers of steps and epochs that cannot be.

    Raises:
        ConfigError: One of them is out of range.
    """
    for name, value, least in (("steps", steps, 1), ("epochs", epochs, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"pruning: {name} must be an integer >= {least}, got {value!r}.")


def _check_run(state: dict[str, Any], path: Path) -> None:
    """Refuse a run whose model is not one network over images.

    Raises:
        CheckpointError: It takes features, or each experience has weights of its own.
    """
    feature = state["config"]["scenario"].get("feature_type")
    if feature is not None:
        raise CheckpointError(
            f"{path}: trained on the features '{feature}'; there is no network over images to "
            "prune. Prune a run with scenario.feature_type=None."
        )
    for key, own in state["strategy"]["plugins"].items():
        name = key.partition(".")[2]
        if name == "MultiHead" or (isinstance(own, Mapping) and any(own.get("views") or [])):
            raise CheckpointError(
                f"{path}: {name} keeps weights for each experience, and pruning knows one network "
                f"alone. Prune a run before it, and train {name} over that one's checkpoint: "
                "load_from='that work_dir/checkpoints/last.pth'."
            )


def _check_folder(out: Path, source: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else.

    Raises:
        ArtifactError: It is the run's own, another run's, or of a pruning with other settings.
    """
    if out.resolve() in source.resolve().parents:
        raise ArtifactError(f"{out}: holds the run that is to be pruned. Choose another folder.")
    if not (out / FILE_NAME).is_file():
        if WorkDir(out).holds_a_run():
            raise ArtifactError(f"{out}: holds a run that is no pruning. Choose another folder.")
        return
    held = read_artifact(out, FILE_NAME, "")[1].get("settings") or {}
    deciding = [key for key in settings if key != "source"]  # a run may be named in many ways
    differ = [key for key in deciding if held.get(key) != settings[key]]
    if differ:
        raise ArtifactError(
            f"{out}: holds a pruning with other settings ({', '.join(differ)}). Choose another "
            "folder, or move this one away."
        )

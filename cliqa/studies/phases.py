"""The study of four phases on Split Fashion-MNIST: replay, adapters, texts, compression.

Every arm is a shipped config over one backbone (`SmallConvNet`), one budget of epochs and, where
there is a memory, one memory of 200 images. What differs between arms is the method alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cliqa.studies.bracket import Bracket
from cliqa.studies.plan import Plan, plan_study
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import shipped_configs


@dataclass(frozen=True)
class PhaseArm:
    """A row of the comparison.

    Attributes:
        name: Its name in files.
        label: Its name for people.
        config: The name of its config; arms of one config share the runs.
        precision: Of the exported file: ``"fp32"`` or ``"int8"``.
    """

    name: str
    label: str
    config: str
    precision: str = "fp32"


ARMS = (
    PhaseArm("finetune", "Finetune", "fmnist_naive"),
    PhaseArm("er", "ER", "fmnist_replay"),
    PhaseArm("lora_er", "LoRA + ER", "fmnist_lora_replay"),
    PhaseArm("multimodal_er", "Multi-modal + ER", "fmnist_fusion_replay"),
    PhaseArm("er_int8", "ER + INT8", "fmnist_replay", "int8"),
    PhaseArm("full_stack", "Full stack", "fmnist_stack", "int8"),
)
"""The rows, in the order of the table."""

BASE = "er"
"""The row that others are compared with by seed."""

STACK = "fmnist_stack"
"""The config that prunes inside the stream."""

RECOVERY = 3
"""One in so many epochs retrains the pruned network: five of fifteen in the config itself."""

DEPLOY = "deploy=dict(target='size', backends=['onnxruntime'], rounds=1)"
"""Every run ends with its exported files; their speed is measured later, all in turns."""


def plan_phases(
    seeds: Sequence[int],
    out: str | Path,
    *,
    epochs: int,
    data: str | None = None,
    options: Sequence[str] = (),
) -> Plan:
    """Return the runs of the study: five configs over seeds, for six arms.

    Args:
        seeds: At least one.
        out: The study's folder.
        epochs: Epochs of every experience, of every arm.
        data: The folder of Fashion-MNIST; None for the configs' own.
        options: ``key=value`` for every config, which win over those of the study.

    Raises:
        ConfigError: As `plan_study`, or a number is out of range.
    """
    if epochs < 1:
        raise ConfigError(f"--epochs {epochs}: must be at least 1.")
    shared = [f"cl_strategy.train_epochs={epochs}", DEPLOY]
    shared += [] if data is None else [f"scenario.dataset_root={data!r}"]
    plans = []
    for name in dict.fromkeys(arm.config for arm in ARMS):
        file = shipped_configs() / f"{name}.py"
        recovery = f"cl_strategy.plugins.1.recover_epochs={epochs // RECOVERY}"
        own = [*shared, *([recovery] if name == STACK else []), *options]
        plans.append(plan_study([file], seeds, out, bracket=Bracket(look=False), options=own))
    by_seed = zip(*(plan.runs for plan in plans), strict=True)
    return Plan(
        Path(out),
        runs=tuple(run for runs in by_seed for run in runs),
        names=tuple(name for plan in plans for name in plan.names),
        naive=None,
        joint=None,
    )

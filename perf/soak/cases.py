"""Every method on little data, and whatever else goes on after a kill."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cliqa.compress.auto import search_deployments
from cliqa.compress.prune import prune_run
from cliqa.config.load import load_config
from cliqa.demo_data.clear import ClearData
from cliqa.demo_data.demo_data import DemoData
from cliqa.demo_data.fashion import FashionData
from cliqa.deploy.search.options import DeployOptions
from cliqa.engine.pretrain.run import pretrain
from cliqa.engine.train import train
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.utils.checkpoint import load_checkpoint
from perf.soak.trial import Work, reference
from perf.soak.two_processes import in_two

ROOT = Path(__file__).resolve().parents[2]

SCORES = (
    *("naive", "ewc", "l2", "si", "mas", "lwf", "packnet", "lora", "inflora", "der", "tsn"),
    *("multi_head", "distribution", "pretrained_imagenet", "ridge", "ladder"),
    *("joint", "clip_replay", "label_free", "hardware_aware", "stack"),
)
CLASSES = (
    *("naive", "replay", "ewc", "lwf", "der", "lora_replay", "joint"),
    *("clip_replay", "fusion_replay", "replay_pooled"),
    *("icarl", "er_ace", "gdumb", "mir", "agem", "feature_replay"),
    *("stack_replay", "stack_lora", "stack_pruned", "stack"),
    "ridge",
)
CLEAR = ("", "_naive", "_joint", "_clip")
OTHERS = {
    "demo_cumulative": ("demo_naive.py", ["cl_strategy.type=Cumulative"]),
    "demo_ema": ("demo_naive.py", ["cl_strategy.plugins=[dict(type='EMA')]"]),
    "demo_merging": ("demo_naive.py", ["cl_strategy.plugins=[dict(type='ModelMerging')]"]),
    "clear_demo_agem": (
        "clear_demo_naive.py",
        [
            *("cl_strategy.type=avalanche.AGEM", "cl_strategy.patterns_per_exp=20"),
            "cl_strategy.sample_size=20",
        ],
    ),
    "demo_agem": ("demo_naive.py", ["cl_strategy.type=AGEM", "cl_strategy.mem_size=9"]),
    "demo_mir": ("demo_naive.py", ["cl_strategy.type=MIR", "cl_strategy.mem_size=9"]),
    "demo_gdumb": ("demo_naive.py", ["cl_strategy.type=GDumb", "cl_strategy.mem_size=9"]),
    "demo_feature_replay": (
        "demo_naive.py",
        [
            *("cl_strategy.type=FeatureReplay", "cl_strategy.layer=backbone.layer2"),
            "cl_strategy.mem_size=9",
        ],
    ),
    "demo_selection": (
        "demo_naive.py",
        [
            *("cl_strategy.type=DER", "cl_strategy.mem_size=9", "cl_strategy.selection=rainbow"),
            "cl_strategy.policy=experience_balanced",
        ],
    ),
    "clear_demo_packnet": ("clear_demo_naive.py", ["cl_strategy.type=PackNet"]),
    "clear_demo_upstream": (
        "clear_demo_naive.py",
        ["cl_strategy.type=avalanche.EWC", "cl_strategy.ewc_lambda=1.0"],
    ),
}
"""Methods that no config for little data has, as changes of one that is there."""

VARIANTS: Mapping[str, Sequence[str]] = {
    "plain": [],
    "workers": ["num_workers=1"],
    "bfloat16": ["amp=bfloat16"],
    "interval": ["checkpoint_config.interval=1"],
    "keep_best": ["cl_strategy.keep_best=True"],
    "workers+bfloat16": ["num_workers=1", "amp=bfloat16"],
}
"""What a run may have besides its method; each case has one of them, in turn."""

PLANNED = ("demo_hardware_aware", "demo_packnet", "demo_stack", "demo_ridge")
"""Methods that follow a plan over an experience's epochs, of which none is the best."""


@dataclass(frozen=True)
class Case:
    """Something that is killed.

    Args:
        name: Its name in the table.
        work: Begins it or goes on with it.
        variant: The key of `VARIANTS`, for the table.
        real: It starts a program instead of a forked process.
        tree: It starts processes that end with it, as when a machine dies.
    """

    name: str
    work: Work
    variant: str = ""
    real: bool = False
    tree: bool = False


def write_data(data: Path) -> None:
    """Write little data of every kind."""
    DemoData(train=10, val=4, test=6, size=40).write(data / "demo")
    FashionData(train=80, test=40).write(data / "fashion")
    ClearData(classes=5, buckets=3, images=6).write(data / "clear")


def data_options(data: Path, file: str) -> list[str]:
    """Return the options that bring a config to little data."""
    if file.startswith("fmnist"):
        return [f"scenario.dataset_root={data / 'fashion'}"]
    if file.startswith("clear"):
        own = ("classes=5", "buckets=3", "images=6")
        return [
            f"scenario.dataset_root={data / 'clear'}",
            *(f"scenario.generate.{one}" for one in own),
        ]
    return [
        f"scenario.dataset_root={data / 'demo'}",
        *(f"scenario.generate.{one}" for one in ("train=10", "val=4", "test=6", "size=40")),
        "scenario.datasets.0.fractions=(0.5,0.2,0.3)",
        f"scenario.datasets.1.val_fraction={4 / 14}",
        "scenario.train_transform.0.size=36",
        "scenario.eval_transform.0.size=40",
    ]


SMALL = ("cl_strategy.train_epochs=2", "cl_strategy.train_mb_size=4", "evaluation.bootstrap=20")
"""What makes any training short."""

OF_FILE = {
    "demo_label_free.py": [
        *("cl_strategy.plugins.0.crop_size=32", "cl_strategy.plugins.0.epochs=1"),
    ],
    "demo_hardware_aware.py": ["cl_strategy.plugins.0.recover_epochs=1"],
    "demo_stack.py": ["cl_strategy.plugins.0.recover_epochs=1"],
    "fmnist_stack_pruned.py": ["cl_strategy.plugins.1.recover_epochs=1"],
    "fmnist_stack.py": ["cl_strategy.plugins.1.recover_epochs=1"],
    "demo_ridge.py": ["cl_strategy.train_epochs=1", "cl_strategy.first_session=1"],
    "fmnist_ridge.py": ["cl_strategy.train_epochs=1"],
}
"""What one config needs for that besides."""

PRETRAINING = ("pretrain.data.crop_size=32", "pretrain.data.held_out=4", "pretrain.epochs=4")


def training(data: Path, file: str, options: Sequence[str]) -> Work:
    """Return what trains a config on little data."""
    own = [*data_options(data, file), *SMALL, *OF_FILE.get(file, ()), *options]
    config = load_config(ROOT / "config" / file, own)

    def work(folder: Path) -> None:
        train(config, config_file=f"config/{file}", work_dir=folder, device="cpu", resume="auto")

    return work


def extension(data: Path, file: str) -> Work:
    """Return what trains a config's first data set, and then lets the run learn the others."""
    config = load_config(ROOT / "config" / file, [*data_options(data, file), *SMALL])
    scenario = config["scenario"]
    begun = {**config, "scenario": {**scenario, "datasets": scenario["datasets"][:1]}}
    common = {"config_file": f"config/{file}", "device": "cpu"}

    def work(folder: Path) -> None:
        last = WorkDir(folder).last
        known = load_checkpoint(last)["names"] if last.is_file() else []
        if len(known) < len(scenario["datasets"]):
            train(begun, work_dir=folder, resume="auto", **common)
            train(config, work_dir=folder, extend=True, **common)
        else:
            train(config, work_dir=folder, resume="auto", **common)

    return work


def program(*arguments: str, folder: str) -> Work:
    """Return what starts a program as a user does; `folder` is the option that names its folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def work(path: Path) -> None:
        command = [sys.executable, *arguments, folder, str(path)]
        os.chdir(ROOT)
        os.execve(sys.executable, command, environment)

    return work


def pretraining(data: Path, options: Sequence[str]) -> Work:
    """Return what pretrains an encoder."""
    own = [*data_options(data, "qualiclip_demo.py"), *PRETRAINING, *options]
    config = load_config(ROOT / "config" / "qualiclip_demo.py", own)

    def work(folder: Path) -> None:
        file = "config/qualiclip_demo.py"
        pretrain(config, config_file=file, work_dir=folder, device="cpu", resume="auto")

    return work


def pruning(source: Path) -> Work:
    """Return what prunes a finished run in two steps."""

    def work(folder: Path) -> None:
        prune_run(source, ratio=0.5, out=folder, epochs=1, steps=2, round_to=4, device="cpu")

    return work


def deployments(source: Path) -> Work:
    """Return what searches the deployments of a finished run, a pruned one among them."""
    options = DeployOptions(
        backends=["onnxruntime", "torch"], prunings=[0.5], epochs=1, images=32, rounds=1
    )

    def work(folder: Path) -> None:
        search_deployments(source, folder, options)

    return work


def cases(root: Path, turn: int = 0) -> Iterator[Case]:
    """Yield all cases.

    Args:
        root: Holds ``data`` (see `write_data`) and ``sources`` (see `train_sources`).
        turn: By how many places the variants are dealt out later.
    """
    data, sources = root / "data", root / "sources"
    files = [f"demo_{name}.py" for name in SCORES] + [f"fmnist_{name}.py" for name in CLASSES]
    files += [f"clear_demo{name}.py" for name in CLEAR]
    methods = [(Path(file).stem, file, list[str]()) for file in files]
    methods += [(name, *changed) for name, changed in OTHERS.items()]
    start = f"load_from.path={sources / 'encoder' / 'checkpoints' / 'encoder.pth'}"
    methods += [("demo_pretrained", "demo_pretrained.py", [start])]
    for index, (name, file, options) in enumerate(methods):
        selects = file.startswith("demo") and name not in PLANNED
        fitting = [key for key in VARIANTS if selects or key != "keep_best"]
        variant = fitting[(index + turn) % len(fitting)]
        yield Case(name, training(data, file, [*options, *VARIANTS[variant]]), variant)
    yield Case("extension", extension(data, "demo.py"), "plain")
    yield Case("pretraining", pretraining(data, ["num_workers=0"]), "plain")
    yield Case("pretraining_workers", pretraining(data, ["num_workers=1"]), "workers")
    yield Case("compress_prune", pruning(sources / "run"))
    yield Case("compress_auto", deployments(sources / "run"))
    for name in ("ewc", "der", "lora", "packnet"):
        two = in_two(training(data, f"demo_{name}.py", []))
        yield Case(f"two_processes_{name}", two, "plain", tree=True)
    own = [*data_options(data, "demo_naive.py"), *SMALL]
    one = ("train_config.py", "config/demo_naive.py", "--device", "cpu", "--resume")
    yield Case("train_config", program(*one, "--cfg-options", *own, folder="--work-dir"), real=True)
    study = ["tools/run_seeds.py", "config/demo_naive.py", "--no-bracket", "--seeds", "0", "1"]
    study += ["--device", "cpu", "--cfg-options", *own]
    yield Case("run_seeds", program(*study, folder="--out"), real=True)


def train_sources(root: Path) -> None:
    """Train what other cases start from."""
    data, sources = root / "data", root / "sources"
    sources.mkdir(exist_ok=True)
    reference(pretraining(data, ["num_workers=0"]), sources / "encoder")
    reference(training(data, "fmnist_naive.py", []), sources / "run")

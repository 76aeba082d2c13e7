"""A config of mmpretrain as one of cliqa, and what could not be carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cliqa.config.load import read_values
from cliqa.config.mmlab.keys import KEYS
from cliqa.config.mmlab.optimization import param_scheduler
from cliqa.config.mmlab.pipelines import translate_pipeline
from cliqa.config.mmlab.translation import Translation, as_dict
from cliqa.config.values import format_config, walk
from cliqa.models.build import build_model
from cliqa.models.conversion.parameter_rules import parameter_rules
from cliqa.models.without_memory import shape_first
from cliqa.utils.errors import CliqaError, ConfigError

SCENARIOS = {"CIFAR10": "SplitCIFAR10", "CIFAR100": "SplitCIFAR100"}
CLASSES = {"CIFAR10": 10, "CIFAR100": 100}

TWO_OUTPUTS = {
    "ConformerHead": "scores every image twice",
    "LeViTClsHead": "scores every image twice in training, which mmpretrain itself does not train",
}
SOFT_HEAD = "MultiLabelLinearClsHead"
ONE_LABEL = ("ImageNet", "CIFAR10", "CIFAR100")
SEVERAL_LABELS = ("MultiLabel", "CSRA", "MultiTask", "MultiCrop")
NOT_RUN = frozenset(
    {"default_scope", "default_hooks", "env_cfg", "log_level", "vis_backends", "visualizer"}
    | {"val_cfg", "test_cfg", "val_evaluator", "test_evaluator", "load_from", "resume", "model"}
    | {"data_preprocessor", "train_dataloader", "val_dataloader", "test_dataloader", "work_dir"}
    | {"param_scheduler", "optim_wrapper", "auto_scale_lr", "train_pipeline", "test_pipeline"}
    | {"launcher", "custom_imports", "find_unused_parameters"}
)
"""Keys that are read one by one, or that only mmengine's loop needs."""


@dataclass
class Conversion:
    """A converted config.

    Attributes:
        config: The sections.
        lost: What could not be carried over, a clause each.
    """

    config: dict[str, Any] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def say(self, *reasons: str) -> None:
        """Add what is lost, once."""
        self.lost += [reason for reason in dict.fromkeys(reasons) if reason not in self.lost]

    def set(self, translation: Translation) -> None:
        """Add the settings of a translation, and what it lost."""
        for key, value in translation.settings.items():
            owner = self.config
            *above, last = key.split(".")
            for step in above:
                owner = owner.setdefault(step, {})
            owner[last] = owner.get(last, []) + value if last == "plugins" else value
        self.say(*translation.lost)


def convert(path: str | Path, experiences: int = 10) -> Conversion:
    """Convert an mmpretrain config that trains an image classifier.

    Args:
        path: A config's file, or one that mmpretrain brings:
            ``mmpretrain::resnet/resnet18_8xb32_in1k.py``.
        experiences: Groups of classes to learn one after the other, at most as many as classes.

    Raises:
        ConfigError: It cannot be read, or trains something else; in one line.
    """
    values = read_values(path)
    _check_kind(values, str(path))
    found = Conversion()
    model, loss = _model(as_dict(values["model"]), found)
    wrapper = as_dict(values.get("optim_wrapper"))
    found.config |= {"scenario": {}, "model": model, "cl_strategy": {"type": "Naive"}}
    _data(values, found, experiences, str(path))
    _training(values, found)
    found.config["cl_strategy"]["loss"] = loss
    _rules(model, wrapper, found)
    _runtime(values, found)
    return found


def _check_kind(values: Mapping[str, Any], path: str) -> None:
    """Refuse a config of anything but an image classifier with one label an image."""
    model = as_dict(values.get("model"))
    name = model.get("type", "ImageClassifier" if "backbone" in model else None)
    if name != "ImageClassifier":
        what = f"its model is '{name}'" if name else "it has no model"
        raise ConfigError(
            f"{path}: {what}, and only an ImageClassifier can be converted. The backbone of "
            "another model can be written into a config's model by hand."
        )
    head = as_dict(model.get("head"))
    kind = str(head.get("type"))
    two = "" if kind == "LeViTClsHead" and head.get("distillation") is False else kind
    if two in TWO_OUTPUTS:
        raise ConfigError(f"{path}: its head '{kind}' {TWO_OUTPUTS[two]}; cliqa takes one output.")
    data = as_dict(as_dict(values.get("train_dataloader")).get("dataset")).get("type")
    if kind.startswith(SEVERAL_LABELS) and (kind != SOFT_HEAD or data not in ONE_LABEL):
        raise ConfigError(f"{path}: its head '{kind}' learns several labels an image; cliqa one.")
    missing = [key for key in ("train_dataloader", "optim_wrapper") if not values.get(key)]
    if missing:
        raise ConfigError(
            f"{path}: has no {' and no '.join(missing)}: it only tests a model. Inherit its "
            "model in a config of yours: _base_ = ['mmpretrain::...']."
        )
    if not as_dict(values["optim_wrapper"]).get("optimizer"):
        raise ConfigError(f"{path}: its optim_wrapper has no optimizer.")


def _model(model: dict[str, Any], found: Conversion) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the model's section and the loss, which mmpretrain has in its head."""
    model = {"type": "ImageClassifier", **model}
    if as_dict(model.pop("train_cfg", None)).get("augments"):
        found.say("Mixup, CutMix and other blends of two images are left out (model.train_cfg)")
    model.pop("data_preprocessor", None)
    if model.pop("pretrained", None):
        found.say("model.pretrained is left out: set it to a local file of weights")
    head = as_dict(model.get("head"))
    if head.get("type") == SOFT_HEAD:  # for blended labels, which are left out
        head["type"] = "LinearClsHead"
        head.pop("thr", None)
    loss = as_dict(head.pop("loss", None)) or {"type": "CrossEntropyLoss"}
    for key in ("topk", "cal_acc"):
        head.pop(key, None)
    if loss.pop("use_soft", False):
        found.say("the loss takes one class an image, as labels are not blended")
    model["head"] = head
    return _without_checkpoints(model, found), loss


def _without_checkpoints(section: Any, found: Conversion) -> Any:  # noqa: ANN401
    """Return a section without ``init_cfg`` that read files."""
    if isinstance(section, (list, tuple)):
        return type(section)(_without_checkpoints(item, found) for item in section)
    if not isinstance(section, dict):
        return section
    kept = {}
    for key, value in section.items():
        if key == "init_cfg" and any(item == "Pretrained" for _, _, item in walk(value)):
            found.say(
                "weights to start from are left out (init_cfg): set load_from='FILE', or "
                "model.pretrained"
            )
        else:
            kept[key] = _without_checkpoints(value, found)
    return kept


def _data(values: Mapping[str, Any], found: Conversion, experiences: int, path: str) -> None:
    """Set the scenario, its transforms and the batch sizes."""
    train = as_dict(values["train_dataloader"])
    test = as_dict(values.get("test_dataloader") or values.get("val_dataloader"))
    data = _inner(as_dict(train.get("dataset")), found)
    kind = str(data.get("type"))
    preprocessor = as_dict(values.get("data_preprocessor"))
    head = found.config["model"]["head"]
    classes = head.get("num_classes") or CLASSES.get(kind) or preprocessor.get("num_classes")
    if not isinstance(classes, int):
        raise ConfigError(f"{path}: has no num_classes, neither in the head nor for the data.")
    scenario: dict[str, Any] = {"type": SCENARIOS.get(kind, "SplitFolder")}
    scenario["dataset_root"] = str(data.get("data_root") or "data")
    scenario["n_experiences"] = max(1, min(experiences, classes))
    if kind not in SCENARIOS:
        found.say(
            f"{kind} is read as a folder: ROOT/train/<class>/ and ROOT/test/<class>/ (rename val)"
        )
    pipelines = {
        "train_transform": data.get("pipeline") or values.get("train_pipeline"),
        "eval_transform": as_dict(test.get("dataset")).get("pipeline")
        or values.get("test_pipeline"),
    }
    for key, steps in pipelines.items():
        translated = translate_pipeline(steps or (), preprocessor)
        scenario[key] = translated.steps
        found.say(*translated.lost)
    found.config["scenario"] = scenario
    found.set(KEYS["train_dataloader"]({k: v for k, v in train.items() if k != "dataset"}))
    found.set(KEYS["test_dataloader"]({k: v for k, v in test.items() if k == "batch_size"}))
    sampler = as_dict(train.get("sampler")).get("type", "DefaultSampler")
    if sampler != "DefaultSampler":
        found.say(f"the sampler {sampler} is left out")


def _inner(data: dict[str, Any], found: Conversion) -> dict[str, Any]:
    """Return the data set inside a wrapper of mmengine."""
    while "dataset" in data:
        found.say(f"the wrapper {data.get('type')} around the data set is left out")
        data = as_dict(data["dataset"])
    return data


def _training(values: Mapping[str, Any], found: Conversion) -> None:
    """Set the optimizer, the schedule and the epochs."""
    wrapper = {k: v for k, v in as_dict(values["optim_wrapper"]).items() if k != "paramwise_cfg"}
    found.set(KEYS["optim_wrapper"](wrapper))
    optimizer = found.config["cl_strategy"]["optimizer"]
    for key, value in list(optimizer.items()):
        optimizer[key] = list(value) if isinstance(value, tuple) else value
    found.set(KEYS["train_cfg"](as_dict(values.get("train_cfg"))))
    found.set(param_scheduler(values.get("param_scheduler") or [], optimizer.get("lr")))
    scale = as_dict(values.get("auto_scale_lr"))
    if scale.get("base_batch_size"):
        batch = int(scale["base_batch_size"])
        found.config["auto_scale_lr"] = {"base_batch_size": batch, "enable": False}
        found.say(
            f"the learning rate is for batches of {batch} over several GPUs: to scale it, set "
            "auto_scale_lr.enable=True"
        )


def _rules(model: dict[str, Any], wrapper: dict[str, Any], found: Conversion) -> None:
    """Set the rules of the optimizer's groups, if the config has some."""
    if not wrapper.get("paramwise_cfg") and "constructor" not in wrapper:
        return
    try:
        built = shape_first(lambda _: build_model(model))
        rules = parameter_rules(built, wrapper)
    except CliqaError:
        raise
    except Exception as error:  # noqa: BLE001  mmengine's constructors know some models alone
        found.say(f"paramwise_cfg is left out ({type(error).__name__}: {error})")
        return
    if rules:
        found.config["cl_strategy"]["optimizer"]["paramwise"] = rules


def _runtime(values: Mapping[str, Any], found: Conversion) -> None:
    """Set metrics, loggers, hooks, seed and the keys that are left."""
    found.config["metrics"] = [
        {"type": "accuracy_metrics", "epoch": True, "experience": True, "stream": True},
        {"type": "forgetting_metrics", "experience": True, "stream": True},
    ]
    found.config["loggers"] = [{"type": n} for n in ("ProgressBar", "TextLogger", "CSVLogger")]
    found.set(KEYS["custom_hooks"](values.get("custom_hooks") or []))
    hooks = as_dict(values.get("default_hooks"))
    kept = as_dict(hooks.get("checkpoint"))
    if kept.get("max_keep_ckpts") not in (None, -1) or kept.get("interval", 1) != 1:
        found.set(KEYS["default_hooks"]({"checkpoint": kept}))
    found.config.setdefault("seed", 0)
    found.set(KEYS["randomness"](values.get("randomness")))
    for key, value in values.items():
        if key in KEYS and key not in NOT_RUN | {"custom_hooks", "randomness", "train_cfg"}:
            found.set(KEYS[key](value))


def as_text(conversion: Conversion, source: str, out: str) -> str:
    """Return a converted config as the text of a file, which says what was left out."""
    lost = "".join(f"\n* {reason}" for reason in conversion.lost) or " nothing."
    config = dict(conversion.config)
    scenario = dict(config["scenario"])
    pipelines = {
        "train_pipeline": scenario.pop("train_transform"),
        "test_pipeline": scenario.pop("eval_transform"),
    }
    text = format_config({**pipelines, **config, "scenario": scenario})
    opening = f'"""Converted from {source}.\n\ncliqa train {out}\n\nLeft out or changed:'
    return f'{opening}{lost}\n"""\n\n{text}'

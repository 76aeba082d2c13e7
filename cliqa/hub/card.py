"""The model card: what a shared model is, how it was measured, and where it fails."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from cliqa import __version__
from cliqa.config.suggest import listed
from cliqa.evaluation.records.results import main_measure
from cliqa.evaluation.records.table_styles import Table, as_markdown, render
from cliqa.evaluation.records.tables import number, report
from cliqa.evaluation.summary import MEANINGS
from cliqa.hub.card_data import front_matter
from cliqa.hub.facts import Facts

FORGETTING = ("bwt", "forgetting", "forgetting_from_first", "msi")
"""Summary numbers that tell what was forgotten."""

MIB = 1 << 20

MOST_CLASSES = 50
"""Names of classes in the card; ``config.json`` has all."""


def model_card(facts: Facts) -> str:
    """Return the ``README.md`` of a shared model."""
    parts = (
        front_matter(facts),
        f"# {facts.name}\n",
        _what(facts),
        _use(facts),
        _data(facts),
        _protocol(facts),
        _results(facts),
        _method(facts),
        _cost(facts),
        _limits(facts),
        _licence(facts),
        _citation(),
    )
    return "\n".join(parts)


def _what(facts: Facts) -> str:
    """Return the first paragraph."""
    what = (
        f"classifies images into {len(facts.classes)} classes "
        f"({listed(map(as_markdown, facts.classes), MOST_CLASSES)})"
        if facts.classes
        else "scores the quality of images: 0 to 1, higher is better, without a reference"
    )
    stream = " -> ".join(map(as_markdown, facts.learnt))
    order = "all at once" if facts.results["joint"] else "one after the other"
    text = (
        f"This model {what}. It has learnt {len(facts.learnt)} data sets {order} ({stream}) by "
        f"`{facts.method}` in cliqa {__version__}, a library for continual learning in image "
        "quality assessment.\n"
    )
    if facts.generated:
        text += (
            f"\n> **The data are {facts.generated}.** They are not the published data sets whose "
            "names or formats they have. The scores below say nothing about real photographs.\n"
        )
    return text


def _use(facts: Facts) -> str:
    """Return how to use it."""
    column = "class and probability" if facts.classes else "score"
    text = f"""## Use

```shell
pip install "cliqa[hub]"
```

```python
import cliqa

model = cliqa.load("hf://{facts.repository}")
print(model.predict("photo.jpg"))  # a table: image, {column}
```

The files are data alone: tensors and JSON. Loading them runs no code of this repository.
"""
    if facts.onnx == "pixels":
        output = "probabilities (N, K)" if facts.classes else "scores (N,)"
        text += f"""
`model.onnx` takes pixels and needs neither cliqa nor PyTorch:

```python
import numpy as np
import onnxruntime
from huggingface_hub import hf_hub_download
from PIL import Image

session = onnxruntime.InferenceSession(hf_hub_download("{facts.repository}", "model.onnx"))
pixels = np.asarray(Image.open("photo.jpg").convert("RGB"))[None]  # uint8 (N, H, W, 3)
print(session.run(None, {{session.get_inputs()[0].name: pixels}})[0])  # {output}
```
"""
    elif facts.onnx:
        text += (
            f"\n`model.onnx` takes {facts.onnx}; `cliqa predict model.onnx IMAGES` prepares them.\n"
        )
    else:
        text += f"\nThere is no `model.onnx`: {as_markdown(facts.no_onnx)}\n"
    return text


def _data(facts: Facts) -> str:
    """Return the data sets that it has learnt and was measured on."""
    unseen = set(facts.results.get("unseen", ()))
    scales = facts.scales
    rows = []
    for name in facts.results["datasets"]:
        sizes = facts.sizes.get(name, {})
        counts = tuple(str(sizes.get(split, "")) for split in ("train", "val", "test"))
        learnt = name in facts.learnt and name not in unseen
        rows.append((name, "yes" if learnt else "no", *counts, scales.get(name, "")))
    header = ("data set", "learnt", "train", "val", "test", "scale of the labels")
    table = render(Table("Images", header, tuple(rows)), "markdown")
    made = f"\nThe images are {facts.generated}.\n" if facts.generated else ""
    return f"## Data\n\n{table}{made}"


def _protocol(facts: Facts) -> str:
    """Return how it was measured."""
    steps = facts.config["scenario"].get("eval_transform")
    bootstrap = int((facts.config.get("evaluation") or {}).get("bootstrap", 1000))
    shown = "Accuracy is measured" if facts.classes else "Correlations are measured"
    return (
        f"## Protocol\n\n{shown} on the whole test set of each data set after every experience; "
        f"intervals are 95 % bootstrap intervals over its images ({bootstrap} resamples), not over "
        f"seeds: this is one run, of seed {facts.results['seed']}. Test images had no part in "
        f"training or in any choice. Every image goes through these steps:\n\n{_yaml(steps)}"
    )


def _results(facts: Facts) -> str:
    """Return the score matrix, the summary and what was forgotten."""
    lines = []
    for name in FORGETTING:
        if name in facts.results["summary"]:
            value = facts.results["summary"][name]
            lines.append(f"* {name}: {number(value)} ({MEANINGS[name]})\n")
    text = (
        "## Results\n\nA row is the model after an experience, a column a data set. The last row "
        f"is this model.\n\n{report(facts.results, 'markdown')}"
    )
    if lines and len(facts.learnt) > 1 and not facts.results["joint"]:
        measure = main_measure(facts.results)
        text += f"\n### Forgetting\n\nIn {measure}:\n\n{''.join(lines)}"
    return text


def _method(facts: Facts) -> str:
    """Return the strategy and the network."""
    sections = {"model": facts.config["model"], "cl_strategy": facts.config["cl_strategy"]}
    started = ""
    if facts.started_from:
        keys = ", ".join(f"`{key}`" for key in facts.started_from)
        started = f"\nIt started from pretrained weights: {keys}.\n"
    return f"## Method\n\n{_yaml(sections)}{started}"


def _cost(facts: Facts) -> str:
    """Return what training took."""
    seconds, memory = facts.results["seconds"], facts.results["memory"]
    rows = [("numbers in the model", f"{facts.parameters:,}")]
    if seconds.get("train"):
        rows.append(("training", f"{sum(filter(None, seconds['train'])):.0f} s"))
    if seconds.get("eval"):
        rows.append(("evaluations", f"{sum(filter(None, seconds['eval'])):.0f} s"))
    if memory.get("peak"):
        rows.append(("highest memory", f"{max(memory['peak']) / MIB:.0f} MiB"))
    if facts.run.get("device"):
        rows.append(("device", str(facts.run["device"])))
    versions = {"python": facts.run.get("python"), **facts.run.get("packages", {})}
    known = [f"{name} {versions[name]}" for name in ("python", "torch") if versions.get(name)]
    rows.append(("versions", ", ".join([*known, f"cliqa {__version__}"])))
    return "## Cost\n\n" + render(Table("Cost", ("", "value"), tuple(rows)), "markdown")


def _limits(facts: Facts) -> str:
    """Return where the model is not to be trusted."""
    limits = [
        f"It has learnt {_names(facts.learnt)} and nothing else. Other contents, cameras and "
        "distortions, generated images, screenshots, video frames and images of other sizes were "
        "not learnt; how far it holds there has to be measured first.",
        "Its labels are opinions of the raters of these data sets. They do not hold for every "
        "audience and purpose."
        if not facts.classes and not facts.generated
        else "",
        "Quality is no measure of a person's, an object's or a text's worth, and a score is no "
        "ground for a decision about people.",
        "Scores of one image mean little; ranks of many images are what was measured."
        if not facts.classes
        else "",
        f"The data are {facts.generated}: use the model to try the library, for nothing else."
        if facts.generated
        else "",
    ]
    to_come = [name for name in facts.results["experiences"] if name not in facts.learnt]
    if to_come:
        limits.append(f"The run stopped before it learnt {_names(to_come)}.")
    unseen = facts.results.get("unseen", ())
    if unseen:
        limits.append(f"On {_names(unseen)}, never learnt, see the columns above.")
    if facts.config["cl_strategy"].get("inference") == "oracle":
        limits.append(
            "The run was measured with each image's known data set (inference='oracle'). In use "
            "it is unknown, and the newest part alone predicts: scores of older data sets may be "
            "worse than above."
        )
    if facts.config.get("custom_imports"):
        modules = as_markdown(str(_plain(facts.config["custom_imports"])))
        limits.append(f"It needs code of its own ({modules}), so it loads with trust=True alone.")
    return "## Limits\n\n" + "".join(f"* {line}\n" for line in limits if line)


def _licence(facts: Facts) -> str:
    """Return the licence."""
    licence = facts.licence
    shown = f"`{licence.identifier}`"
    if licence.name:
        name = re.sub(r"[\[\]]", r"\\\g<0>", as_markdown(licence.name))
        shown = f"[{name}](<{licence.link}>)"
    sources = "The images and labels that the model has learnt from"
    if facts.started_from:
        sources += ", and the pretrained weights that it started from,"
    return (
        f"## Licence\n\nThe weights and files of this repository: {shown}. {sources} have terms of "
        "their own.\n"
    )


def _citation() -> str:
    """Return how to cite the library."""
    return f"""## Citation

```bibtex
@software{{cliqa,
  title = {{cliqa: continual learning for image quality assessment}},
  author = {{{{The cliqa developers}}}},
  version = {{{__version__}}}
}}
```

The methods have papers of their own: the documentation of each names them.
"""


def _names(names: Sequence[str]) -> str:
    """Return names of data sets for a sentence."""
    return ", ".join(map(as_markdown, names))


def _yaml(value: Any) -> str:  # noqa: ANN401  plain values at any depth
    """Return a part of the config as a block of YAML, which no text in it can end."""
    text = yaml.safe_dump(
        _plain(value), sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}yaml\n{text}{fence}\n"


def _plain(value: Any) -> Any:  # noqa: ANN401  plain values at any depth
    """Return values for YAML, which has no tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value

"""Published layouts of DB-CNN, TOPIQ, ARNIQA and CLIP, also with CLIP-IQA+'s context.

Tensors of a file that play no role are left out. Where a model lacks the parts that a layout is
for, the names stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

Rule = tuple[str, str | None]
"""The beginning of a name as a pattern, and its replacement; the first match is used."""

CONTEXT = "text_encoder.context"
"""The learnt context of a text encoder."""


@dataclass(frozen=True)
class Layout:
    """A published layout.

    Attributes:
        words: Its description.
        marks: Names that a file in this layout has, all below one prefix.
        needs: Beginnings of names that a model has that it is for.
        rules: How the beginnings of names change.
        inside: Parts of names inside a layer, and ours.
    """

    words: str
    marks: tuple[str, ...]
    needs: tuple[str, ...]
    rules: tuple[Rule, ...]
    inside: tuple[tuple[str, str], ...] = ()

    def prefix(self, file: Collection[str]) -> str | None:
        """Return what comes before the marks in a file, None if it has another layout."""
        first, *others = self.marks
        for name in file:
            if f".{name}".endswith(f".{first}"):
                prefix = name.removesuffix(first)
                if all(prefix + mark in file for mark in others):
                    return prefix
        return None

    def name(self, published: str) -> str | None:
        """Return our name of a published one; None if the tensor plays no role."""
        name = published
        for pattern, replacement in self.rules:
            if re.match(pattern, name):
                if replacement is None:
                    return None
                name = re.sub(pattern, replacement, name)
                break
        for theirs, ours in self.inside:
            name = name.replace(theirs, ours)
        return name


DBCNN = Layout(
    "read in the layout of DB-CNN's published code",
    ("features1.0.weight", "features2.0.weight"),
    ("backbone.branches.0.body.features.", "backbone.branches.1.features."),
    (
        (r"^features1\.", "backbone.branches.0.body.features."),
        (r"^features2\.", "backbone.branches.1.features."),
        (r"^fc\.", "head.fc."),
    ),
)

TOPIQ = Layout(
    "read in the layout of TOPIQ's published code",
    ("h_emb", "w_emb", "weight_pool.0.splitconv.weight"),
    ("neck.gates.",),
    (
        (r"^semantic_model\.", "backbone.body."),
        (r"^h_emb$", "neck.rows"),
        (r"^w_emb$", "neck.columns"),
        (r"^weight_pool\.(\d)\.splitconv\.", r"neck.gates.\1.split."),
        (r"^weight_pool\.(\d)\.weight_blk\.", r"neck.gates.\1.weight."),
        (r"^dim_reduce\.", "neck.reduce."),
        (r"^score_linear\.", "head.layers."),
        # the decoder's layers have a self-attention that is never computed
        (r"^attn_blks\.\d\.layers\.\d\.self_attn\.", None),
        (r"^attn_blks\.(\d)\.layers\.(\d)\.norm2\.", r"neck.across.\1.\2.norm_memory."),
        (r"^attn_blks\.(\d)\.layers\.(\d)\.norm3\.", r"neck.across.\1.\2.norm2."),
        (r"^attn_blks\.(\d)\.layers\.(\d)\.", r"neck.across.\1.\2."),
        (r"^sa_attn_blks\.(\d)\.layers\.(\d)\.", r"neck.within.\1.\2."),
        (r"^attn_pool\.", "neck.last."),
    ),
    (
        (".self_attn.", ".attention."),
        (".multihead_attn.", ".attention."),
        (".attention.out_proj.", ".attention.out."),
        (".linear1.", ".perceptron.0."),
        (".linear2.", ".perceptron.3."),
    ),
)

ARNIQA = Layout(
    "read in the layout of ARNIQA's published code",
    ("model.0.weight", "model.4.0.conv1.weight", "projector.0.weight"),
    ("backbone.backbone.body.layer1.",),
    (
        (r"^model\.0\.", "backbone.backbone.body.conv1."),
        (r"^model\.1\.", "backbone.backbone.body.bn1."),
        *((rf"^model\.{k + 3}\.", f"backbone.backbone.body.layer{k}.") for k in range(1, 5)),
        (r"^projector\.", None),  # of its training
    ),
)

CLIP_RULES: tuple[Rule, ...] = (
    (r"^visual\.", "backbone.visual."),
    (r"^logit_scale$", "head.log_scale"),
    (r"^(?=(?:transformer|token_embedding|ln_final)\.)", "text_encoder."),
    (r"^(?=(?:positional_embedding|text_projection)$)", "text_encoder."),
    (r"^(?:input_resolution|context_length|vocab_size)$", None),
)

CLIP = Layout(
    "read in the layout of CLIP's published code",
    ("visual.conv1.weight", "token_embedding.weight", "logit_scale"),
    ("backbone.visual.", "text_encoder.token_embedding."),
    CLIP_RULES,
)

CLIP_IQA = Layout(
    "read in the layout of CLIP-IQA's published code",
    ("prompt_learner.ctx", "prompt_learner.clip_model.token_embedding.weight"),
    ("backbone.visual.", CONTEXT),
    (
        (r"^prompt_learner\.ctx$", CONTEXT),
        # the towers are stored twice, but the embedding of tokens is only here
        *((p.replace("^", r"^prompt_learner\.clip_model\."), to) for p, to in CLIP_RULES),
        (r"^(?:prompt_learner|image_encoder|text_encoder)\.|^logit_scale$", None),
    ),
)

LAYOUTS = (DBCNN, TOPIQ, ARNIQA, CLIP_IQA, CLIP)

POSITIONS = "backbone.visual.attnpool.positional_embedding"
"""Of a ResNet's pool, which a model with ``positions=False`` does without."""


def from_iqa_layout(
    file: Mapping[str, Tensor], model: Collection[str]
) -> tuple[dict[str, Tensor], str]:
    """Return a file's tensors under this package's names, if it is in one of the layouts.

    Args:
        file: Tensors by name.
        model: The tensor names of the target model.

    Returns:
        The tensors under our names and a description; nothing and "" for another layout.
    """
    for layout in LAYOUTS:
        fits = all(any(name.startswith(part) for name in model) for part in layout.needs)
        prefix = layout.prefix(file) if fits else None
        if prefix is not None:
            inner = {k[len(prefix) :]: v for k, v in file.items() if k.startswith(prefix)}
            return _renamed(inner, layout, model), layout.words
    return {}, ""


def _renamed(
    file: Mapping[str, Tensor], layout: Layout, model: Collection[str]
) -> dict[str, Tensor]:
    """Return the tensors of a layout under our names, in our shapes."""
    found: dict[str, Tensor] = {}
    for published, tensor in file.items():
        name = layout.name(published)
        if name is None or (name == POSITIONS and name not in model):
            continue
        start, _, kind = name.rpartition(".attention.in_proj_")
        if start:
            third = len(tensor) // 3  # queries; keys and values
            found[f"{start}.attention.query.{kind}"] = tensor[:third].clone()
            found[f"{start}.attention.key_value.{kind}"] = tensor[third:].clone()
        elif name == CONTEXT and tensor.ndim == 2:
            found[name] = tensor[None]  # one context for all texts
        else:
            found[name] = tensor
    return found

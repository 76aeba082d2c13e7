"""Groups of layers that lose their channels together, and the hidden units of transformers.

Torch-Pruning finds the groups and prunes a copy of the model; the changes of the copy are recorded
per tensor.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from cliqa.deploy.pruning.kept_channels import KeptChannels, cannot_prune
from cliqa.deploy.pruning.prunable import ProbeHead, hidden_layers
from cliqa.utils.errors import ArtifactError, ModelError
from cliqa.utils.system.extras import install_extra

if TYPE_CHECKING:
    from torch_pruning.dependency import Dependency, Group

ROOTS = (nn.Conv2d, nn.Linear)
"""Layers whose outputs are pruned."""


def import_torch_pruning() -> ModuleType:
    """Import Torch-Pruning, quietly.

    Raises:
        ArtifactError: It is not installed.
    """
    try:
        with _quiet():
            import torch_pruning  # noqa: PLC0415  optional, and slow to import
    except ImportError as error:
        raise ArtifactError(
            f"pruning needs Torch-Pruning ({error}). Install it: {install_extra('deploy')}"
        ) from error
    return torch_pruning


class ChannelGroups:
    """The groups of a model's channels; see the module.

    Args:
        model: A copy of the model that may be changed, with `ProbeHead` where it can have one.
        example: Images (B, C, H, W).
        fixed: Names of layers whose outputs stay as they are.
        importance: See `prune_channels`.
        seed: Seed of the importance ``"random"``.

    Raises:
        ModelError: The model cannot be traced.
        ArtifactError: The library is missing.
    """

    def __init__(
        self, model: nn.Module, example: Tensor, fixed: set[str], importance: str, seed: int
    ) -> None:
        library = import_torch_pruning()
        self.kept = KeptChannels(model)
        names = self.kept.names
        self._fixed = [m for m, name in names.items() if name in fixed or isinstance(m, ProbeHead)]
        self._fixed += [m.fc for m in names if isinstance(m, ProbeHead)]
        self._random: torch.Generator = torch.Generator().manual_seed(seed)
        kinds = {
            "magnitude": lambda: library.importance.GroupMagnitudeImportance(p=2),
            "bn_scale": library.importance.BNScaleImportance,
            "random": lambda: lambda group: torch.rand(self.width(group), generator=self._random),
        }
        self._importance = kinds[importance]()
        try:
            with _quiet(), torch.enable_grad():
                self._graph = library.DependencyGraph().build_dependency(model, example)
        except Exception as error:  # noqa: BLE001  the library raises whatever it runs into
            raise ModelError(cannot_prune(model, error)) from error

    def all(self) -> list[Group]:
        """Return the groups with all of their channels."""
        with _quiet():
            found = self._graph.get_all_groups(
                ignored_layers=self._fixed, root_module_types=list(ROOTS)
            )
            return [group for group in found if not self._is_fixed_features(group)]

    def _is_fixed_features(self, group: Group) -> bool:
        """Return whether a head compares a group's channels as they are, without a layer."""
        heads = [m for m in self.kept.names if isinstance(m, ProbeHead) and m.compares]
        return any(item.target.module is head.fc for item, _ in group.items for head in heads)

    def width(self, group: Group) -> int:
        """Return the channels of a group."""
        return len(group[0].idxs)

    def fold(self, group: Group) -> int:
        """Return into how many equal parts a group's channels are taken by one of its layers."""
        parts = [1]
        for dependency, _ in group.items:
            module = dependency.target.module
            if isinstance(module, nn.GroupNorm):
                parts.append(module.num_groups)
            elif isinstance(module, _ConvNd) and module.groups < module.out_channels:
                parts.append(module.groups)
        return math.lcm(*parts)

    def prune(self, group: Group, count: int) -> None:
        """Remove the `count` least important channels of a group.

        Args:
            group: One of `all`.
            count: A multiple of the group's `fold`.
        """
        if count <= 0:
            return
        with _quiet(), torch.no_grad():
            scores = self._importance(group)
            if scores is None:  # nothing in the group that this importance looks at
                return
            gone = least_important(scores.cpu(), count, self.fold(group))
            root = group[0].dep
            chosen = self._graph.get_pruning_group(root.target.module, root.handler, gone)
            if self._graph.check_pruning_group(chosen):
                for dependency, indexes in chosen.items:
                    self._note(dependency, indexes)
                chosen.prune()

    def _note(self, dependency: Dependency, indexes: list[int]) -> None:
        """Note which channels a layer loses.

        Raises:
            ModelError: A tensor outside of any layer would be pruned.
        """
        module = dependency.target.module
        if isinstance(module, nn.Parameter):
            name = self._graph._param_to_name.get(module, "?")
            raise ModelError(
                f"pruning: the weight '{name}' belongs to no layer that can be pruned. Leave out "
                "what it is added to or multiplied with: ignore=['name of that part']."
            )
        if module in self.kept.names:  # not a sum or a reshape, which have no weights
            out = bool(self._graph.is_out_channel_pruning_fn(dependency.handler))
            self.kept.record(module, out, indexes)


Pair = tuple[nn.Linear, nn.Linear]
"""The layers before and behind the hidden units."""


class FeedForwardGroups:
    """Groups as `ChannelGroups` has them: the hidden units of each feed-forward network.

    Nothing else depends on these units. The importance ``"bn_scale"`` prunes none of them, for they
    have no factors.
    """

    def __init__(self, model: nn.Module, fixed: set[str], importance: str, seed: int) -> None:
        self.kept = KeptChannels(model)
        self._fixed = fixed
        self._importance = importance
        self._random = torch.Generator().manual_seed(seed)

    def all(self) -> list[Pair]:
        """Return the groups."""
        model = self.kept.model
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        chosen = [model.get_submodule(k) for k in hidden_layers(model) if k not in self._fixed]
        pairs = [(layers[k], layers[k + 1]) for k, layer in enumerate(layers) if layer in chosen]
        return [pair for pair in pairs if pair[1].in_features == pair[0].out_features]

    def width(self, group: Pair) -> int:
        """Return the hidden units of a group."""
        return group[0].out_features

    def fold(self, group: Pair) -> int:
        """Return into how many equal parts a group's channels are taken: one."""
        return 1

    @torch.no_grad()
    def prune(self, group: Pair, count: int) -> None:
        """Remove the `count` least important hidden units of a group."""
        first, second = group
        if count <= 0 or self._importance == "bn_scale":
            return
        scores = first.weight.square().sum(1) + second.weight.square().sum(0)  # (H,)
        if self._importance == "random":
            scores = torch.rand(len(scores), generator=self._random)
        gone = least_important(scores.cpu(), count)
        self.kept.record(first, True, gone)
        self.kept.record(second, False, gone)
        left = torch.ones(first.out_features, dtype=torch.bool)
        left[gone] = False
        first.weight = nn.Parameter(first.weight[left])
        if first.bias is not None:
            first.bias = nn.Parameter(first.bias[left])
        second.weight = nn.Parameter(second.weight[:, left])
        first.out_features = second.in_features = int(left.sum())


def least_important(scores: Tensor, count: int, fold: int = 1) -> list[int]:
    """Return the channels with the least scores; of each of `fold` parts the same ones.

    >>> least_important(torch.tensor([3.0, 1.0, 2.0, 9.0]), 2, fold=2)
    [0, 2]
    """
    parts = scores.view(fold, -1)
    order = parts.mean(dim=0).argsort(stable=True)[: count // fold]
    step = parts.shape[1]
    return sorted(int(k) + part * step for part in range(fold) for k in order)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's messages off the console."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield

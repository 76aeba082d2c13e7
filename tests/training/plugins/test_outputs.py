"""A model whose output is no tensor, in a strategy of one's own: named when training begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.utils.data import TensorDataset

import cliqa.training as methods
from cliqa.utils.errors import ModelError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

READS: dict[str, dict[str, Any]] = {
    "EWC": {},
    "MAS": {},
    "LwF": {},
    "DER": {"mem_size": 8},
    "MIR": {"mem_size": 8},
    "AGEM": {"mem_size": 8},
    "ER_ACE": {"mem_size": 8},
    "ClassifierAlignment": {},
    "FeatureReplay": {"mem_size": 8, "layer": "body"},
    "MultiHead": {"inference": "oracle"},
    "Replay": {"mem_size": 8, "selection": "loss"},
}
IGNORES: dict[str, dict[str, Any]] = {
    "SI": {},
    "L2": {},
    "Replay": {"mem_size": 8},
    "GDumb": {"mem_size": 8},
    "PackNet": {},
    "LoRA": {"rank": 2},
    "TaskSpecificParts": {"parts": ["head"]},
    "EMA": {},
}


class Network(nn.Module):
    """Gives its logits in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.head(self.body(inputs).relu())}


class Own(SupervisedTemplate):
    """Computes its loss from that dict, and counts its steps."""

    steps = 0

    def criterion(self) -> torch.Tensor:
        self.steps += 1
        loss: torch.Tensor = self._criterion(self.mb_output["logits"], self.mb_y)
        return loss


def trained(plugin: Any) -> Own:
    """Train two experiences, and return the strategy."""
    data = TensorDataset(torch.rand(16, 4), torch.arange(16) % 4)
    data.targets = data.tensors[1].tolist()  # type: ignore[attr-defined]
    torch.manual_seed(0)
    model = Network()
    strategy = Own(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=4,
        train_epochs=2,
        plugins=[plugin],
        evaluator=EvaluationPlugin(loggers=[]),
    )
    try:
        for experience in nc_benchmark(data, data, 2, task_labels=False).train_stream:
            strategy.train(experience)
    except ModelError:
        assert strategy.steps <= 1  # not after an experience has been learnt
        raise
    return strategy


@pytest.mark.parametrize("name", READS)
def test_a_method_that_computes_with_outputs_refuses_a_dict(name: str) -> None:
    plugin = getattr(methods, name)(**READS[name])
    with pytest.raises(ModelError, match=r"returns a dict with logits.*model\(x\)\['logits'\]"):
        trained(plugin)


@pytest.mark.parametrize("name", IGNORES)
def test_a_method_that_does_not_works(name: str) -> None:
    assert trained(getattr(methods, name)(**IGNORES[name])).steps >= 8

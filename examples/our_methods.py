"""cliqa's methods in your own strategy and benchmark: python examples/our_methods.py."""

import torch
from avalanche.benchmarks import nc_benchmark
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.utils.data import TensorDataset

from cliqa.models.heads.ridge import RidgeHead
from cliqa.training import EWC, LoRA, PackNet, Replay, StreamingRidge


class Smoothed(SupervisedTemplate):
    """A strategy of your own: cross-entropy with smoothed labels."""

    def criterion(self) -> torch.Tensor:
        return nn.functional.cross_entropy(self.mb_output, self.mb_y, label_smoothing=0.1)


class Network(nn.Module):
    """A small network; methods find the head by its name."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU()), head

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))


def digits(count: int, seed: int) -> TensorDataset:
    """Return noisy images of ten classes, which stand for your data."""
    means = torch.randn(10, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    noise = torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    data = TensorDataset(means.repeat(count // 10, 1, 1, 1) + noise, torch.arange(count) % 10)
    data.targets = data.tensors[1].tolist()
    return data


benchmark = nc_benchmark(digits(500, 0), digits(200, 1), n_experiences=5, task_labels=False)
methods = {"EWC": EWC(100.0), "LoRA": LoRA(rank=4), "PackNet": PackNet(), "Replay": Replay(100)}
for name in ("StreamingRidge", *methods):
    torch.manual_seed(0)
    ridge = name == "StreamingRidge"  # a strategy: it solves the head, over a frozen network
    model = Network(RidgeHead(128, num_classes=10) if ridge else nn.Linear(128, 10))
    evaluator = EvaluationPlugin(accuracy_metrics(stream=True), loggers=[])
    given = {"model": model, "train_mb_size": 4, "eval_mb_size": 64, "evaluator": evaluator}
    if not ridge:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
        given |= {"plugins": [methods[name]], "train_epochs": 4, "optimizer": optimizer}
    strategy = (StreamingRidge if ridge else Smoothed)(**given)
    for experience in benchmark.train_stream:
        strategy.train(experience)
    print(f"{name:15s}", *strategy.eval(benchmark.test_stream).values())

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.models.build import build_model
from cliqa.models.heads.prototype import METRICS, PrototypeHead
from cliqa.utils.errors import ConfigError, ModelError

CLASSES, LENGTH, UNSEEN = 5, 12, 3


def data(size: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    targets = torch.randint(0, CLASSES, (size,), generator=random)
    targets[targets == UNSEEN] = 0
    return torch.randn(size, LENGTH, generator=random) + targets[:, None], targets


def filled(**options: Any) -> PrototypeHead:
    head = PrototypeHead(CLASSES, LENGTH, **options)
    head.update(*data())
    return head


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("metric", METRICS)
def test_logits_are_those_of_the_definition(metric: str, normalize: bool) -> None:
    features, targets = (tensor.numpy() for tensor in data())
    features = features.astype(np.float64)
    if normalize:
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
    logits = filled(metric=metric, normalize=normalize, temperature=4.0)(data()[0]).numpy()
    for k in set(range(CLASSES)) - {UNSEEN}:
        mean = features[targets == k].mean(axis=0)
        wanted = -((features - mean) ** 2).sum(axis=1)
        if metric == "cosine":
            lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(mean)
            wanted = 4.0 * features @ mean / lengths
        np.testing.assert_allclose(logits[:, k], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_batches_and_their_order_do_not_matter(metric: str) -> None:
    features, targets = data()
    whole = filled(metric=metric)
    for seed in range(3):
        order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
        head = PrototypeHead(CLASSES, LENGTH, metric=metric)
        for batch in order.split(7):
            head.update((features[:1], features[batch]), targets[batch])
        torch.testing.assert_close(head.sums, whole.sums, rtol=1e-13, atol=1e-13)
        assert torch.equal(head.counts, whole.counts)
        torch.testing.assert_close(head(features), whole(features), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("metric", METRICS)
def test_unseen_classes_are_never_chosen(metric: str, scale: float) -> None:
    features = scale * data()[0]
    head = PrototypeHead(CLASSES, LENGTH, metric=metric, normalize=False)
    head.update(features, data()[1])
    logits = head(features)
    assert (logits.softmax(dim=1)[:, UNSEEN] == 0).all()
    assert (logits.argmin(dim=1) == UNSEEN).all()
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("metric", METRICS)
def test_logits_fit_into_float16(metric: str) -> None:
    logits = filled(metric=metric)(data()[0]).half()
    assert torch.isfinite(logits).all()
    assert (logits.softmax(dim=1)[:, UNSEEN] == 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_before_the_first_update_all_classes_are_equal(metric: str) -> None:
    logits = PrototypeHead(CLASSES, LENGTH, metric=metric)(data()[0])
    torch.testing.assert_close(logits.softmax(dim=1), torch.full((60, CLASSES), 1 / CLASSES))


def test_reset_forgets_everything() -> None:
    head = filled()
    head.reset()
    assert not head.sums.any()
    assert not head.counts.any()


def test_nothing_is_trained_but_gradients_pass_to_the_features() -> None:
    head = filled()
    assert not list(head.parameters())
    features = data()[0].requires_grad_()
    head.update(features, data()[1])
    head(features)[:, 0].sum().backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    assert features.grad.abs().sum() > 0
    assert not head.sums.requires_grad


def test_another_precision_of_the_model_does_not_round_the_sums() -> None:
    head = filled()
    exact, logits = head.sums.clone(), head(data()[0])
    head.half().bfloat16().float()
    assert head.sums.dtype == torch.float64
    assert torch.equal(head.sums, exact)
    assert torch.equal(head(data()[0]), logits)


def test_mixed_precision_counts_in_full() -> None:
    head = PrototypeHead(CLASSES, LENGTH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        head.update(*data())
        logits = head(data()[0])
    assert torch.equal(head.sums, filled().sums)
    assert torch.equal(logits, filled()(data()[0]))


def test_the_state_makes_the_round_trip(tmp_path: Path) -> None:
    torch.save(filled().state_dict(), tmp_path / "head.pth")
    head = PrototypeHead(CLASSES, LENGTH)
    head.load_state_dict(torch.load(tmp_path / "head.pth", weights_only=True))
    for twin in (head, copy.deepcopy(head)):
        assert torch.equal(twin.sums, filled().sums)
        assert torch.equal(twin.counts, filled().counts)


def test_it_is_the_head_of_mmpretrains_classifier() -> None:
    model: Any = build_model(
        {
            "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "PrototypeHead", "num_classes": 2, "in_channels": 32},
        }
    ).eval()
    images = torch.rand(4, 3, 32, 32)
    targets = torch.tensor([0, 0, 1, 1])
    model.head.update(model.extract_feat(images), targets)
    assert model(images).shape == (4, 2)
    means = model.head.means
    unit = torch.nn.functional.normalize(model.extract_feat(images)[-1].double())
    torch.testing.assert_close(means[1], unit[2:].mean(dim=0))


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (torch.zeros(2, 9), torch.zeros(2), r"Set in_channels=9 in model\.head"),
        (torch.zeros(2, LENGTH), torch.zeros(3), r"targets have shape \(3,\)"),
        (torch.zeros(2, LENGTH), torch.tensor([0, 5]), r"class 5 does not exist.*0\.\.4\. Set num"),
        (torch.zeros(1, LENGTH), torch.tensor([-1]), "class -1 does not exist"),
        (torch.full((1, LENGTH), torch.nan), torch.zeros(1), "is NaN or infinite.*turn amp off"),
    ],
)
def test_invalid_features_are_refused(
    features: torch.Tensor, targets: torch.Tensor, message: str
) -> None:
    head = PrototypeHead(CLASSES, LENGTH)
    with pytest.raises(ModelError, match=message):
        head.update(features, targets)
    assert not head.counts.any()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"metric must be one of 'cosine', 'euclidean', got 'cosin'\. Did you mean 'cosine'\?",
    ):
        PrototypeHead(CLASSES, LENGTH, metric="cosin")
    with pytest.raises(ConfigError, match="PrototypeHead: temperature must be above 0, got -1"):
        PrototypeHead(CLASSES, LENGTH, temperature=-1)

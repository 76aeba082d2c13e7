"""The Fisher information: against closed forms, and whatever the batches are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.training.importance.fisher import KINDS, drawn_labels, fisher_diagonal
from cliqa.utils.errors import ConfigError

Batches = list[tuple[Tensor, Tensor]]


class LinearScore(nn.Module):
    """A score that is linear in the features: its Fisher information is E[x^2] / sigma^2."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dims, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return scores (B,) of features (B, D)."""
        return self.fc(features)[:, 0]


def batches(inputs: Tensor, targets: Tensor, size: int) -> Batches:
    return list(zip(inputs.split(size), targets.split(size), strict=True))


def classes(samples: int, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a small softmax model with inputs and labels."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return model, torch.randn(samples, 4), torch.randint(3, (samples,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [8, 128])
def test_linear_gaussian_model_has_the_analytic_fisher_at_any_batch_size(
    kind: str, size: int
) -> None:
    samples, sigma = 1500, 0.5
    random = torch.Generator().manual_seed(3)
    spread = torch.tensor([0.5, 1.0, 2.0, 3.0])
    features = spread * torch.randn(samples, 4, generator=random)
    model = LinearScore(4)
    scores = model(features).detach() + sigma * torch.randn(samples, generator=random)
    found = fisher_diagonal(
        model, batches(features, scores, size), kind=kind, sigma=sigma, random=random
    )["fc.weight"][0]
    squares = features.square() / sigma**2  # (N, D)
    if kind == "exact":
        assert torch.allclose(found, squares.mean(0), rtol=1e-5)
    # the true value, three standard errors: x^2 and e^2/sigma^2 each add theirs
    kurtosis = 3 if kind == "exact" else 9
    error = math.sqrt((kurtosis - 1) / samples)
    expected = spread.square() / sigma**2
    assert ((found / expected - 1).abs() < 3 * error).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("of", ["scores", "classes"])
def test_the_batch_size_makes_no_difference(kind: str, of: str) -> None:
    model, inputs, targets = classes(130)
    if of == "scores":
        model = nn.Sequential(model, nn.Linear(3, 1), nn.Flatten(0))
        targets = torch.rand(130)
    found = [
        fisher_diagonal(
            model,
            batches(inputs, targets, size),
            kind=kind,
            random=torch.Generator().manual_seed(0),
        )
        for size in (1, 8, 32, 130)
    ]
    for other in found[1:]:
        for name, part in found[0].items():
            assert torch.allclose(other[name], part, rtol=1e-5, atol=1e-7 * float(part.max()))


def test_exact_is_the_expectation_of_empirical_over_the_classes() -> None:
    model, inputs, labels = classes(40)
    exact = fisher_diagonal(model, batches(inputs, labels, 16), kind="exact")
    expected = {name: torch.zeros_like(part) for name, part in exact.items()}
    for sample in inputs:
        chances = model(sample[None])[0].detach().softmax(0)
        for label in range(3):
            at = fisher_diagonal(model, [(sample[None], torch.tensor([label]))], kind="empirical")
            for name, part in at.items():
                expected[name] += float(chances[label]) * part / len(inputs)
    for name, part in expected.items():
        assert torch.allclose(exact[name], part, rtol=1e-4, atol=1e-8)


def test_exact_of_softmax_regression_is_the_closed_form() -> None:
    torch.manual_seed(0)
    model, inputs = nn.Linear(4, 3, bias=False), torch.randn(30, 4)
    found = fisher_diagonal(model, [(inputs, torch.zeros(30, dtype=torch.long))], kind="exact")
    chances = model(inputs).softmax(1).detach()
    # E[(p_k - [y = k])^2] x_d^2 = p_k (1 - p_k) x_d^2
    expected = torch.einsum("nk,nd->kd", chances * (1 - chances), inputs.square()) / 30
    assert torch.allclose(found["weight"], expected, rtol=1e-5)


def test_sampled_tends_to_exact() -> None:
    model, inputs, labels = classes(20)
    exact = fisher_diagonal(model, [(inputs, labels)], kind="exact")
    repeated = inputs.repeat(300, 1)
    sampled = fisher_diagonal(
        model,
        batches(repeated, labels.repeat(300), 500),
        kind="sampled",
        random=torch.Generator().manual_seed(0),
    )
    total = [sum(float(part.sum()) for part in f.values()) for f in (exact, sampled)]
    assert total[1] == pytest.approx(total[0], rel=0.05)


def test_kinds_by_default() -> None:
    model, inputs, labels = classes(10)
    by_default = fisher_diagonal(model, [(inputs, labels)])
    empirical = fisher_diagonal(model, [(inputs, labels)], kind="empirical")
    assert all(torch.equal(by_default[name], part) for name, part in empirical.items())
    score = LinearScore(4)
    first = fisher_diagonal(score, [(inputs, torch.zeros(10))])
    second = fisher_diagonal(score, [(inputs, torch.ones(10))])
    assert torch.equal(first["fc.weight"], second["fc.weight"])  # no label is asked for


def test_empirical_scores_use_their_labels_and_sigma() -> None:
    model = LinearScore(1)
    nn.init.constant_(model.fc.weight, 2.0)
    found = fisher_diagonal(
        model, [(torch.tensor([[3.0]]), torch.tensor([5.0]))], kind="empirical", sigma=0.5
    )
    assert found["fc.weight"].item() == pytest.approx(((6 - 5) * 3 / 0.25) ** 2)


def test_a_short_last_batch_weighs_no_more_than_its_share() -> None:
    model = LinearScore(1)
    features = torch.tensor([[1.0], [1.0], [1.0], [5.0]])
    found = fisher_diagonal(model, batches(features, torch.zeros(4), 3), sigma=1.0)
    assert found["fc.weight"].item() == pytest.approx((1 + 1 + 1 + 25) / 4)


def test_no_samples_give_zeros() -> None:
    assert fisher_diagonal(LinearScore(2), [])["fc.weight"].tolist() == [[0.0, 0.0]]


def test_drawn_labels_follow_the_models_distribution() -> None:
    chance = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    probabilities = torch.tensor([0.2, 0.5, 0.3])
    labels = drawn_labels(probabilities.log().expand(10_000, 3), chance, 1.0)
    assert (labels.bincount() / 10_000).tolist() == pytest.approx([0.2, 0.5, 0.3], abs=1e-3)
    scores = drawn_labels(torch.full((10_000,), 0.4), chance, 0.1)
    assert scores.dtype == torch.float32
    assert float(scores.mean()) == pytest.approx(0.4, abs=1e-3)
    assert float(scores.std()) == pytest.approx(0.1, rel=1e-2)
    assert torch.isfinite(drawn_labels(torch.zeros(2), torch.tensor([0.0, 1.0]).double(), 1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "true"}, "kind must be one of None, 'empirical', 'sampled', 'exact', got 'true'"),
        ({"sigma": 0.0}, r"sigma must be above 0, got 0\.0"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    def none() -> Iterator[tuple[Tensor, Tensor]]:
        yield from ()

    with pytest.raises(ConfigError, match=message):
        fisher_diagonal(LinearScore(1), none(), **arguments)

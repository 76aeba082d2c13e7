from __future__ import annotations

import torch
from torch import nn
from torch.func import grad

from cliqa.models.language.text_encoder import KeptFeatures
from cliqa.models.language.text_transformer import TextTransformer

TEXTS = ("a cat.", "a dog.")


class Counting(TextTransformer):
    """A text encoder that counts how often it is asked."""

    calls = 0

    def encode(self, texts: tuple[str, ...]) -> torch.Tensor:  # type: ignore[override]
        self.calls += 1
        return super().encode(texts)


def encoder(frozen: bool = True) -> Counting:
    torch.manual_seed(0)
    model = Counting(dim=8, layers=1, heads=2)
    model.learn(TEXTS)
    model.requires_grad_(not frozen)
    return model


def test_features_of_a_frozen_encoder_are_computed_once() -> None:
    model, kept = encoder(), KeptFeatures()
    first = kept(model, TEXTS)
    assert kept(model, TEXTS) is first
    assert model.calls == 1
    assert torch.equal(first, model.encode(TEXTS))
    assert not first.requires_grad


def test_features_follow_texts_and_weights() -> None:
    model, kept = encoder(), KeptFeatures()
    first = kept(model, TEXTS)
    assert torch.equal(kept(model, TEXTS[:1]), model.encode(TEXTS[:1]))
    with torch.no_grad():
        model.embedding.mul_(2)
    assert torch.equal(kept(model, TEXTS), model.encode(TEXTS))
    other = encoder()
    with torch.no_grad():
        other.places.normal_()
    model.load_state_dict(other.state_dict())
    assert torch.equal(kept(model, TEXTS), other.encode(TEXTS))
    assert not torch.equal(kept(model, TEXTS), first)


def test_features_of_an_encoder_that_trains_have_gradients() -> None:
    model, kept = encoder(frozen=False), KeptFeatures()
    kept(model, TEXTS).sum().backward()
    assert model.embedding.grad is not None
    kept(model, TEXTS)
    assert model.calls == 2


class Fits(nn.Module):
    """How well vectors fit texts."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.kept = encoder(), KeptFeatures()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = vectors @ self.kept(self.encoder, TEXTS).T
        return found


def test_a_trace_takes_the_features_as_a_constant() -> None:
    model, vectors = Fits().eval(), torch.randn(3, 8)
    wanted = model(vectors)
    program = torch.export.export(model, (vectors,))
    assert model.encoder.calls == 1
    assert not any("softmax" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(vectors), wanted)
    assert torch.equal(model(vectors), wanted)  # and nothing of the trace is kept


def test_tensors_of_a_functional_gradient_are_not_kept() -> None:
    model, kept = encoder(), KeptFeatures()
    slope = grad(lambda w: (w * kept(model, TEXTS)).sum())(torch.ones(()))
    assert float(slope) == float(model.encode(TEXTS).sum())
    assert torch.equal(kept(model, TEXTS) + 0, model.encode(TEXTS))


def test_features_first_asked_for_in_inference_mode_fit_into_a_graph_later() -> None:
    model, kept = encoder(), KeptFeatures()
    with torch.inference_mode():
        kept(model, TEXTS)
    scale = torch.ones((), requires_grad=True)
    (kept(model, TEXTS) * scale).sum().backward()
    assert scale.grad is not None
    assert model.calls == 1

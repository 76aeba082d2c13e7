from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch.func import functional_call, grad, vmap

from cliqa.models.language.byte_pairs import learn_merges
from cliqa.models.language.text_files import load_texts
from cliqa.models.language.text_transformer import TextTransformer
from cliqa.utils.errors import ConfigError, ModelError

TEXTS = load_texts("fashion_mnist").flat


def encoder(seed: int = 0, learn: bool = True, **sizes: int) -> TextTransformer:
    torch.manual_seed(seed)
    model = TextTransformer(**{"dim": 16, "layers": 2, "heads": 2, **sizes})
    if learn:
        model.learn(TEXTS)
    return model.eval()


def test_a_text_is_encoded_alike_in_any_company() -> None:
    model = encoder()
    features = model.encode(TEXTS)
    assert features.shape == (len(TEXTS), model.output_dim)
    for index in (0, 3, 7):
        alone = model.encode(TEXTS[index : index + 1])[0]
        assert torch.allclose(alone, features[index], atol=1e-6)


def test_every_token_matters_to_the_end_of_the_text() -> None:
    model = encoder()
    model.encode(TEXTS[:1]).square().sum().backward()
    assert model.embedding.grad is not None
    touched = model.embedding.grad.abs().sum(1) > 0  # (V,)
    assert touched.nonzero().flatten().tolist() == sorted(set(model.ids(TEXTS[:1])[0].tolist()))


def test_words_hold_the_text_and_their_mask_its_length() -> None:
    model = encoder()
    words, mask = model.words(TEXTS)
    lengths = [len(tokens) for tokens in model.tokens(TEXTS)]
    assert mask.sum(1).tolist() == lengths
    assert words.shape == (len(TEXTS), max(lengths), 16)
    ends = words[torch.arange(len(TEXTS)), torch.tensor(lengths) - 1]
    assert torch.equal(ends, model.encode(TEXTS))


def test_gradients_pass_texts_that_were_first_read_in_inference_mode() -> None:
    model = encoder()
    with torch.inference_mode():
        model.words(TEXTS)
    model.words(TEXTS)[0].sum().backward()
    assert model.embedding.grad is not None


def test_tokens_are_readable() -> None:
    assert encoder(vocab_size=2000).tokens(["a photo of a dress."]) == [
        ["_a", "_photo", "_of", "_a", "_dress", ".", "<end>"]
    ]


def test_a_checkpoint_has_the_vocabulary() -> None:
    model, fresh = encoder(), encoder(seed=1, learn=False)
    fresh.encode(TEXTS)  # under the vocabulary that goes
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh.merges, learn_merges(TEXTS, 512))
    assert torch.equal(fresh.encode(TEXTS), model.encode(TEXTS))
    assert fresh.tokens(TEXTS) == model.tokens(TEXTS)


def test_copies_are_whole() -> None:
    model = encoder()
    model.encode(TEXTS)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin.encode(TEXTS), model.encode(TEXTS))


def test_single_gradients_can_be_taken_side_by_side() -> None:
    model = encoder()
    weights = {name: p.detach() for name, p in model.named_parameters()}

    class Told(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ self.model.encode(TEXTS).T).logsumexp(0)

    told, images = Told(), torch.randn(3, 16)
    named = {f"model.{name}": w for name, w in weights.items()}
    both = vmap(grad(lambda w, x: functional_call(told, w, (x,))), (None, 0))(named, images)
    for index, image in enumerate(images):
        model.zero_grad()
        told(image).backward()
        for name, p in told.named_parameters():
            assert p.grad is not None
            assert torch.allclose(both[name][index], p.grad, atol=1e-5), name


def test_a_long_text_is_refused() -> None:
    model = encoder(max_length=5)
    with pytest.raises(ModelError, match=r"has \d+ tokens, 5 at most. Set max_length=\d+ in model"):
        model.encode(TEXTS)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads=3 does not divide dim=16"):
        encoder(heads=3)
    with pytest.raises(ConfigError, match="layers must be above 0"):
        encoder(layers=0)

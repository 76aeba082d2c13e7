from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.io import write_png

from cliqa.evaluation.classification import wilson_interval
from cliqa.evaluation.functional import srcc
from cliqa.inference import few_shot as module
from cliqa.inference.execution.late_steps import LateSteps
from cliqa.inference.few_shot import draw, few_shot, few_shot_table
from cliqa.inference.predict import Predictor
from cliqa.inference.unseen_data import Unseen
from cliqa.models.build import build_model
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.text_files import load_texts
from cliqa.transforms.protocol import EvaluationProtocol, build_views
from cliqa.utils.errors import DatasetError

PETS = CandidateTexts(("cat", "dog"), (("a cat.",), ("a dog.",)))
Ask = Callable[..., list[dict[str, Any]]]


def classes(counts: tuple[int, int] = (12, 8)) -> Unseen:
    targets = torch.arange(2).repeat_interleave(torch.tensor(counts))
    return Unseen([Path(f"{k}.png") for k in range(sum(counts))], targets, PETS)


def scores(count: int = 60) -> Unseen:
    targets = torch.rand(count, generator=torch.Generator().manual_seed(1))
    return Unseen([Path(f"{k}.png") for k in range(count)], targets, load_texts("quality_levels"))


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a function that asks a fresh model about images whose vectors are given."""
    torch.manual_seed(0)
    model: Any = build_model(
        {
            "type": "ImageTextModel",
            "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8]},
            "texts": "cifar10",
            "in_channels": 8,
            "width": 8,
        }
    ).eval()

    def run(unseen: Unseen, vectors: Callable[[Any], Tensor], **options: Any) -> Any:
        model.use_texts(unseen.texts)
        monkeypatch.setattr(module, "image_text_model", lambda _: model)
        monkeypatch.setattr(module, "read_unseen", lambda *_: unseen)
        found = vectors(model)
        monkeypatch.setattr(module, "embed_paths", lambda *_: found)
        predictor: Any = SimpleNamespace()
        return few_shot(predictor, "x", **options)

    return run


def away_from_texts(unseen: Unseen, seed: int = 0) -> Callable[[Any], Tensor]:
    """Return vectors that tell the targets apart in a plane where no text lies."""

    def vectors(model: Any) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        texts = model.prototypes().detach()
        basis = torch.linalg.svd(texts)[2][-2:]  # (2, D), at right angles to the texts
        spread = 0.05 * torch.randn(len(unseen.paths), 2, generator=random)
        place = unseen.targets.float() * (3.0 if unseen.has_scores else 1.5)
        angle = torch.stack([place.cos(), place.sin()], dim=1) + spread
        return torch.nn.functional.normalize(angle @ basis, dim=1)

    return vectors


def test_zero_shots_ask_the_texts_alone(ask: Ask) -> None:
    unseen = classes()
    (row,) = ask(unseen, lambda model: model.prototypes().detach()[unseen.targets])
    assert row == {
        "shots": 0,
        "images": 20,
        "measure": "accuracy",
        "value": 1.0,
        "interval": list(wilson_interval(20, 20)),
        "kind": "Wilson",
        "by": "vectors",
        "chance": 0.5,
    }


def test_shots_teach_what_the_texts_do_not_say(ask: Ask) -> None:
    unseen = classes()
    zero, one, five = ask(unseen, away_from_texts(unseen), shots=[0, 1, 5])
    assert zero["value"] < 0.9
    assert one["value"] > 0.9
    assert five["value"] == 1
    assert (zero["images"], one["images"], five["images"]) == (20, 10, 10)
    assert five["kind"] == "seeds"
    (single,) = ask(unseen, away_from_texts(unseen), shots=[5], seeds=[0])
    assert single["interval"] == list(wilson_interval(10, 10))


def test_scores_are_asked_by_levels(ask: Ask) -> None:
    unseen = scores()
    zero, five = ask(unseen, away_from_texts(unseen), shots=[0, 5], seeds=[3], text_weight=0.5)
    assert (zero["measure"], zero["kind"], zero["chance"]) == ("srcc", "bootstrap", 0.0)
    assert five["images"] == 60 - 5 * 5
    assert five["value"] > 0.9 > abs(zero["value"])
    low, high = five["interval"]
    assert low <= five["value"] <= high


def test_a_score_is_the_levels_mean(ask: Ask) -> None:
    unseen = scores()
    random = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    vectors = torch.nn.functional.normalize(random, dim=1)
    logits = torch.empty(0)

    def given(model: Any) -> Tensor:
        nonlocal logits
        logits = model.head.scale * vectors @ model.prototypes().T
        return vectors

    (row,) = ask(unseen, given)
    said = (logits.softmax(1) @ torch.tensor([1, 0.75, 0.5, 0.25, 0])).detach().numpy()
    assert row["value"] == pytest.approx(srcc(said, unseen.targets.numpy()))


def test_few_shots_are_blended_with_no_more_images_than_they_say(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []

    def blend(texts: Tensor, images: Tensor, shares: Tensor, weight: float) -> Tensor:
        counts.append((len(images), shares.sum(0).tolist(), weight))
        return texts

    monkeypatch.setattr(module, "blend_prototypes", blend)
    unseen = classes()
    ask(unseen, away_from_texts(unseen), shots=[1, 5], seeds=[0], text_weight=2.0)
    assert counts == [(2, [1, 1], 2.0), (10, [5, 5], 2.0)]


def test_draws_follow_from_the_seed_and_leave_a_test() -> None:
    unseen = classes()
    first = draw(unseen, 3, seed=0)
    assert torch.equal(first, draw(unseen, 3, seed=0))
    assert not torch.equal(first, draw(unseen, 3, seed=1))
    assert unseen.targets[first].tolist() == [[0] * 3, [1] * 3]
    assert len(set(first.flatten().tolist())) == 6
    assert draw(scores(), 2, 0).shape == (5, 2)
    with pytest.raises(DatasetError, match="--shots 8: class 'dog' has 8 images, and one at least"):
        draw(unseen, 8, 0)
    with pytest.raises(DatasetError, match="--shots 12: takes 60 of 60 images"):
        draw(scores(), 12, 0)


def test_the_table_says_what_an_interval_is(ask: Ask) -> None:
    unseen = classes()
    rows = ask(unseen, away_from_texts(unseen), shots=[0, 2])
    table = few_shot_table(rows, Path("w/last.pth"))
    assert "w/last.pth: candidates it was not trained on" in table
    assert "Wilson: Wilson's interval of a share\nseeds: Student's interval" in table
    rows[0] |= {"value": None, "interval": None, "measure": "srcc"}
    assert "n/a" in few_shot_table(rows, Path("w"))
    assert np.isfinite(rows[1]["value"])


def test_words_answer_as_the_model_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    section = {
        "type": "FusionModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8]},
        "texts": "cifar10",
        "in_channels": 8,
    }
    model: Any = build_model(section).eval()
    images = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    for index, image in enumerate(images.byte()):
        path = tmp_path / ("cat" if index < 6 else "dog") / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        write_png(image, str(path))
    predictor: Any = SimpleNamespace(
        model=model,
        device=torch.device("cpu"),
        views=lambda image, _: image.float() / 255,
        checkpoint="x.pth",
        _late=LateSteps(build_views([{"type": "ToTensor"}], EvaluationProtocol(), "x")),
        batch_of=lambda: 4,
    )
    predictor.outputs = MethodType(Predictor.outputs, predictor)
    zero, one = few_shot(predictor, str(tmp_path), shots=[0, 1])
    assert (zero["by"], one["by"]) == ("words", "vectors")
    assert model.texts.names == ("cat", "dog")
    with torch.no_grad():
        said = model(images.float() / 255).argmax(1)
    correct = (said == (torch.arange(8) >= 6)).float().mean().item()
    assert zero["value"] == correct != 0.5
    turned = model.prototypes().detach().flip(0)
    monkeypatch.setattr(model, "prototypes", lambda: turned)
    assert few_shot(predictor, str(tmp_path))[0]["value"] == correct
    assert "0 shots: by the words; more: by vectors" in few_shot_table([zero, one], Path("x.pth"))

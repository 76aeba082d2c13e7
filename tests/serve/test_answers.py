"""The shapes of the answers."""

from __future__ import annotations

import json

from cliqa.serve.answers import ImageAnswer, RefusalError, problem


def test_an_image_has_what_it_has_and_nothing_else() -> None:
    row = ImageAnswer.model_validate({"name": "a.png", "class": "cat", "probability": 0.5})
    shown = row.model_dump_json(by_alias=True, exclude_none=True)
    assert json.loads(shown) == {"name": "a.png", "class": "cat", "probability": 0.5}


def test_a_problem_can_say_what_is_wrong_with_each_image() -> None:
    found = json.loads(problem(422, "None.", [ImageAnswer(name="a", error="no image")]))
    assert found["title"] == "Unprocessable Entity" or found["title"].startswith("Unprocessable")
    assert found["images"] == [{"name": "a", "error": "no image"}]


def test_a_refusal_is_its_detail() -> None:
    assert str(RefusalError(429, "Try later.")) == "Try later."

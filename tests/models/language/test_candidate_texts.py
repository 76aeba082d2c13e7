from __future__ import annotations

import pytest

from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.text_files import load_texts
from cliqa.utils.errors import ConfigError

PETS = CandidateTexts(
    ("cat", "dog", "sea_lion"), (("a cat.",), ("a dog.", "a hound."), ("a sea lion.",))
)


def test_prompts_are_numbered_by_candidate() -> None:
    assert len(PETS) == 3
    assert PETS.flat == ("a cat.", "a dog.", "a hound.", "a sea lion.")
    assert PETS.owners == (0, 1, 1, 2)
    assert [PETS.flat[i] for i in PETS.ids_of(1)] == ["a dog.", "a hound."]


def test_texts_survive_json() -> None:
    for texts in (PETS, load_texts("quality_levels")):
        again = CandidateTexts.from_json(texts.to_json(), texts.source)
        assert again == texts


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("dog", "cat", "sea_lion"), "in another order than the stream's"),
        (("cat", "dog", "seal"), r"missing: seal\n  unknown: sea_lion\nCopy the file"),
        (("cat", "dog"), r"others than the stream's classes.\n  texts:  cat, dog, sea_lion\n  s"),
    ],
)
def test_other_classes_are_refused_with_both_lists(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PETS.check_names(names)


def test_candidates_that_decide_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="one candidate leaves nothing to choose"):
        CandidateTexts(("cat",), (("a cat.",),))
    with pytest.raises(ConfigError, match="'a pet.' is a text of 'cat' and of 'dog'"):
        CandidateTexts(("cat", "dog"), (("a pet.",), ("a pet.",)))
    with pytest.raises(ConfigError, match="two levels have the same value"):
        CandidateTexts(("good", "bad"), (("Good.",), ("Bad.",)), (1.0, 1.0))

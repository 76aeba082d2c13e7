"""The licence of a shared model."""

from __future__ import annotations

import pytest

from cliqa.hub.licences import KNOWN, Licence, check_licence
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize("identifier", sorted(KNOWN))
def test_known_ones_are_taken(identifier: str) -> None:
    assert check_licence(identifier) == Licence(identifier)


@pytest.mark.parametrize("identifier", [None, ""])
def test_there_is_no_default(identifier: str | None) -> None:
    with pytest.raises(ConfigError, match=r"--license: a shared model needs one.*cc-by-4\.0"):
        check_licence(identifier)


@pytest.mark.parametrize(
    ("given", "meant"), [("cc-by4.0", "cc-by-4.0"), ("Apache2", "apache-2.0"), ("MIT", "mit")]
)
def test_unknown_ones_get_a_suggestion(given: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"--license {given}: not an .* Did you mean '{meant}'"):
        check_licence(given)


def test_others_have_a_name_and_a_link() -> None:
    link = "https://example.org/terms"
    assert check_licence("other", "ours", link) == Licence("other", "ours", link)
    assert check_licence("other", "ours", "LICENSE.md").link == "LICENSE.md"
    for name, wrong in (
        (None, link),
        ("ours", None),
        ("ours", "javascript:alert(1)"),
        ("ours", f"{link}>x"),
    ):
        with pytest.raises(ConfigError, match="--license other: give --license-name NAME"):
            check_licence("other", name, wrong)
    with pytest.raises(ConfigError, match="give a name in one line; the text is in --license-link"):
        check_licence("other", "ours\n---\nlicense: mit", link)
    with pytest.raises(ConfigError, match="go with --license other"):
        check_licence("mit", "ours")

"""Property-based tests: whatever a file or a command line holds, the answer is one line.

Every case is a valid input that has been damaged. It must either be refused by a `CliqaError` of
readable lines, or be taken and lead to something valid; any other exception fails the test. A
short, repeatable choice of cases runs in the default suite; ``make fuzz`` tries many more at
random. The summary at the end tells how many cases were taken and refused.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from cliqa.utils.errors import CliqaError

LONG = os.environ.get("CLIQA_FUZZ") == "long"
LONGEST_LINE = 4000

settings.register_profile(
    "fuzz",
    deadline=None,
    database=None,
    derandomize=not LONG,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")

_outcomes: Counter[str] = Counter()

Try = Callable[[str, Callable[[], Any]], Any]


def cases(short: int, long: int) -> settings:
    """Return how many cases a test tries: in the default suite, and under ``make fuzz``."""
    return settings(max_examples=long if LONG else short)


@pytest.fixture(scope="session")
def attempt() -> Try:
    """Return a function that tries a case, and returns None where it is refused in words.

    Its arguments are the kind of case, for the summary, and what to call. Any exception that is
    not the package's own comes through.
    """

    def run(kind: str, call: Callable[[], Any]) -> Any:
        try:
            value = call()
        except CliqaError as error:
            check_message(str(error))
            _outcomes[f"{kind}: refused"] += 1
            return None
        _outcomes[f"{kind}: taken"] += 1
        return value

    return run


def check_message(text: str) -> None:
    """Fail where a message is none that a person can act on."""
    assert text.strip(), "an error without words"
    assert "Traceback (most recent call last)" not in text
    assert " object at 0x" not in text, text
    longest = max(map(len, text.splitlines()))
    assert longest <= LONGEST_LINE, f"a line of {longest} characters: {text[:300]}"


def count(kind: str) -> None:
    """Count a case for the summary."""
    _outcomes[kind] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's counts to the process that started it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["fuzz"] = dict(_outcomes)


def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ARG001
    """Add up the workers' counts."""
    _outcomes.update(getattr(node, "workeroutput", {}).get("fuzz", {}))


def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None] | None:
    """Tell how many cases were tried."""
    if not _outcomes:
        return None
    terminalreporter.section("cases")
    for kind, number in sorted(_outcomes.items()):
        terminalreporter.write_line(f"{number:6d}  {kind}")
    return None

"""How valid values, texts and files are damaged: strategies of hypothesis."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]

WRONG_KINDS: tuple[Any, ...] = (
    *("", "no", "Yes", "None", "nan", "0", "1", "3.5", "x" * 300, "a.b", "os.getcwd", "é\udc80"),
    *(True, False, None, 0, 1, 2, -1, 3.5, -0.0),
    *([], {}, (), [[]], [1, 2, 3], (1,), [None], ["a", 1], {"type": "x"}, {"type": None}, {1: 2}),
)
OUT_OF_RANGE: tuple[Any, ...] = (
    *(0, -1, -(10**9), 10**9, 10**18, 10**400, 1e-300, 1e30, -1e30, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
)
DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]

JUNK = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b'"', b"'", b"\r", b"\n", b"\n\n", b"\r\n"),
    *(b",", b";", b"\t", b"=", b"-", b"nan", b"1e400", b"inf", b"9" * 5000, b"x" * 200_000),
    *(b"../", b"/etc/", b"{", b"[" * 3000, b"NULL", "\u00e9".encode(), "\u0661".encode(), b"1_0"),
)


def paths_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value inside nested dicts, lists and tuples."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from paths_of(item, (*path, key))


def at(value: Any, path: Path) -> Any:
    """Return what lies at a path."""
    for step in path:
        value = value[step]
    return value


def changed(value: Any, path: Path, change: Any) -> Any:
    """Return a copy of nested values in which ``change(owner, key)`` was called at a path."""
    value = _lists(copy.deepcopy(value))
    change(at(value, path[:-1]), path[-1])
    return value


def _lists(value: Any) -> Any:
    """Return nested values with lists in place of tuples, which cannot be changed."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def drop(owner: Any, key: Any) -> None:
    """Remove what lies there."""
    del owner[key]


def double(owner: Any, key: Any) -> None:
    """Put a list's items in twice; another value into a list of two."""
    value = owner[key]
    owner[key] = value * 2 if isinstance(value, list) else [value, copy.deepcopy(value)]


@st.composite
def misspellings(draw: st.DrawFn, name: str) -> str:
    """Draw a name that differs from `name` in one letter."""
    place = draw(st.integers(0, len(name) - 1))
    letter = draw(st.sampled_from("abcxyz_"))
    return draw(
        st.sampled_from(
            [
                name[:place] + name[place + 1 :],
                name[:place] + letter + name[place:],
                name[:place] + letter + name[place + 1 :],
                name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
            ]
        ).filter(lambda found: found and found != name)
    )


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes, junk: tuple[bytes, ...] = JUNK) -> bytes:
    """Draw a file's content with one to three damages."""
    for _ in range(draw(st.integers(1, 3))):
        content = draw(_damages(content, junk))
    return content


def _damages(content: bytes, junk: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Return the damages that one step can do."""
    places = st.integers(0, max(0, len(content) - 1))
    lengths = st.sampled_from([1, 2, 3, 8, 64, 4096])

    def flip(place: int, bit: int) -> bytes:
        return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]

    def swap_lines(first: int, second: int) -> bytes:
        lines = content.split(b"\n")
        first, second = first % len(lines), second % len(lines)
        lines[first], lines[second] = lines[second], lines[first]
        return b"\n".join(lines)

    def double_line(place: int) -> bytes:
        lines = content.split(b"\n")
        place %= len(lines)
        return b"\n".join([*lines[:place], lines[place], *lines[place:]])

    if not content:
        return st.sampled_from(junk)
    return st.one_of(
        st.builds(flip, places, st.integers(0, 7)),
        st.builds(lambda p, n: content[:p] + content[p + n :], places, lengths),
        st.builds(
            lambda p, n: content[:p] + content[p : p + n] * 2 + content[p + n :], places, lengths
        ),
        st.builds(lambda p, j: content[:p] + j + content[p:], places, st.sampled_from(junk)),
        st.builds(lambda p: content[:p], places),
        st.builds(swap_lines, st.integers(0, 50), st.integers(0, 50)),
        st.builds(double_line, st.integers(0, 50)),
    )

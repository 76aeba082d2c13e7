"""The value of an option: from what a user types to a plain Python value."""

from __future__ import annotations

import ast
import re
from typing import Any

from cliqa.config.option_kind import Kind
from cliqa.utils.errors import ConfigError

WORDS = {"true": True, "false": False}
OPENING = {"(": ")", "[": "]"}


def parse_value(text: str, old: Any, where: str) -> Any:  # noqa: ANN401
    """Return what ``KEY=text`` means, by mmengine's rules with their traps closed.

    Numbers, True, False and None are what they look like; ``1,2,3``, ``[1,2]`` and ``(1,2)`` are
    lists and tuples; ``dict(type='SGD', lr=0.1)`` and ``{'type': 'SGD'}`` are dicts; everything
    else is a string. Quotes make a string of anything. Where the key holds a string, or the text
    looks like a path, a comma does not make a list.

    Args:
        text: The text behind ``=``.
        old: The value that the key has now.
        where: The option, for the error message.

    Raises:
        ConfigError: Brackets are not balanced, or a dict cannot be read.

    >>> parse_value("1e-3", 0.1, "--cfg-options lr")
    0.001
    >>> parse_value("(256,256)", None, "--cfg-options size")
    (256, 256)
    >>> parse_value("a,b.csv", "c.csv", "--cfg-options labels")
    'a,b.csv'
    """
    try:
        return _parse(text.strip(), old, where)
    except RecursionError as error:
        raise ConfigError(f"{where}: nested too deeply. Write it flatter.") from error


def _parse(text: str, old: Any, where: str) -> Any:  # noqa: ANN401
    """Return what a text without spaces around it means."""
    if text.startswith(("{", "dict(")):
        return _dict(text, where)
    quoted = _quoted(text)
    if quoted is not None:
        return _sequence(quoted, where) if _is_bracketed(quoted) else quoted
    if text.startswith(tuple(OPENING)):
        return _sequence(text, where)
    if "," in text and _means_list(text, old):
        return [_item(part, where) for part in _split(text, where)]
    return _scalar(text)


def is_word(text: str) -> bool:
    """Return whether a text is a string and nothing else, however it is read."""
    return re.fullmatch(r"[A-Za-z_./][\w./-]*", text) is not None and _scalar(text) == text


def parse_name(text: str, old: Any, where: str, kind: Kind) -> Any:  # noqa: ANN401
    """Return what ``KEY=text`` means where the key holds a name: a folder, a file, a column.

    The text is the name as it is, also ``2024``, ``True`` and ``[z]``; quotes around it are not.

    Args:
        text: The text behind ``=``.
        old: The value that the key has now.
        where: The option, for the error message.
        kind: What else it can be.

    Raises:
        ConfigError: Brackets of a list are not balanced, or a dict cannot be read.

    >>> parse_name("2024", None, "", Kind()), parse_name("'None'", None, "", Kind(none=True))
    ('2024', 'None')
    >>> parse_name("[a, 1]", None, "", Kind(lists=True))
    ['a', '1']
    """
    text = text.strip()
    quoted = _quoted(text)
    if quoted is not None:
        return quoted
    if kind.none and text == "None":
        return None
    if not kind.lists:
        return text
    if text.startswith(("{", "dict(")):
        return _dict(text, where)
    if text.startswith(tuple(OPENING)):
        if not _is_bracketed(text):
            raise ConfigError(f"{where}={text}: '{OPENING[text[0]]}' is missing at the end.")
        found = [_name(part) for part in _split(text[1:-1], where)]
        return tuple(found) if text[0] == "(" else found
    if "," in text and (not kind.name or _means_list(text, old)):
        return [_name(part) for part in _split(text, where)]
    return text


def _name(text: str) -> str:
    """Return one name of a list."""
    quoted = _quoted(text.strip())
    return text.strip() if quoted is None else quoted


def _means_list(text: str, old: Any) -> bool:  # noqa: ANN401
    """Return whether commas without brackets make a list."""
    is_path = "/" in text or "\\" in text
    return isinstance(old, (list, tuple)) or not (isinstance(old, str) or is_path)


def _scalar(text: str) -> Any:  # noqa: ANN401
    """Return a number, a truth value, None or the text."""
    for kind in (int, float):
        try:
            return kind(text) if "_" not in text else text  # Python reads 1_2 as 12
        except ValueError:
            continue
    if text == "None":
        return None
    return WORDS.get(text.lower(), text)


def _quoted(text: str) -> str | None:
    """Return what stands between quotes, or None where the text is not in quotes."""
    match = re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", text)
    return next((part for part in match.groups() if part is not None), None) if match else None


def _is_bracketed(text: str) -> bool:
    """Return whether the text is a list or a tuple."""
    return bool(text) and OPENING.get(text[0]) == text[-1]


def _sequence(text: str, where: str) -> list[Any] | tuple[Any, ...]:
    """Return the list or the tuple that a bracketed text describes."""
    if not _is_bracketed(text):
        raise ConfigError(f"{where}={text}: '{OPENING[text[0]]}' is missing at the end.")
    items = [_item(part, where) for part in _split(text[1:-1], where)]
    return tuple(items) if text[0] == "(" else items


def _item(text: str, where: str) -> Any:  # noqa: ANN401
    """Return one item of a list; its string may be in quotes."""
    text = text.strip()
    quoted = _quoted(text)
    if quoted is not None:
        return quoted
    if text.startswith(("{", "dict(")):
        return _dict(text, where)
    return _sequence(text, where) if _is_bracketed(text) else _scalar(text)


def _split(text: str, where: str) -> list[str]:
    """Return the parts between the commas that lie in no bracket and in no quotes."""
    parts, quote, open_brackets = [""], "", []
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            open_brackets.append({"(": ")", "[": "]", "{": "}"}[letter])
        elif letter in ")]}" and (not open_brackets or open_brackets.pop() != letter):
            raise ConfigError(f"{where}={text}: '{letter}' closes nothing. Check the brackets.")
        if letter == "," and not quote and not open_brackets:
            parts.append("")
        else:
            parts[-1] += letter
    if quote or open_brackets:
        raise ConfigError(f"{where}={text}: {quote or open_brackets[-1]!r} is missing.")
    return parts if parts[-1].strip() else parts[:-1]  # a last comma ends the list: (256,)


def _dict(text: str, where: str) -> dict[str, Any]:
    """Return the dict that ``dict(type='SGD')`` or ``{'type': 'SGD'}`` describes."""
    try:
        value = _literal(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(
            f"{where}: cannot read {text}. Write dict(type='SGD', lr=0.1), strings in quotes."
        ) from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {text} is no dict. Write dict(type='SGD', lr=0.1).")
    return value


def _literal(node: ast.expr) -> Any:  # noqa: ANN401
    """Return a literal's value; ``dict(a=1)`` counts as one. Nothing is executed.

    Raises:
        ValueError: It is no literal.
    """
    if isinstance(node, ast.Call):
        named = {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
        if getattr(node.func, "id", "") != "dict" or node.args or None in named:
            raise ValueError("not a literal")
        return named
    if isinstance(node, ast.Dict):
        keys = [_literal(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_literal, node.values), strict=True))
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    return ast.literal_eval(node)

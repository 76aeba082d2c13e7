"""Reading candidate texts: files of the package, and a user's files."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from cliqa.config.suggest import closest
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import home_path

KINDS = ("classes", "levels")
"""The kinds of candidates; a file has one of them."""

PLACE = "{}"
"""The placeholder of a candidate's text in a template."""


def shipped_texts() -> list[str]:
    """Return the names of the texts that come with the package.

    >>> "fashion_mnist" in shipped_texts()
    True
    """
    folder = resources.files("cliqa.models.language").joinpath("texts")
    return sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_texts(source: str | Path) -> CandidateTexts:
    """Read the texts of K candidates.

    Args:
        source: A name of `shipped_texts`, or the path of a YAML file (``.yaml`` or ``.yml``) with
            ``classes``, each with a text, several, or none (its name is used), or with
            ``levels``, each with a ``value`` of 0..1 and ``texts``; and with ``templates`` that
            every text is inserted into. Without templates the texts are the prompts.

    Raises:
        ConfigError: The name is unknown, or the file is missing or wrong.
    """
    where = str(source)
    if where.endswith((".yaml", ".yml")):
        path = home_path(source)
        if not path.is_file():
            raise ConfigError(f"model.texts: {path}: no such file of texts.")
        try:
            content = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"model.texts {where}: no UTF-8 text (byte {error.start}). Save the file as UTF-8."
            ) from error
    else:
        known = shipped_texts()
        if where not in known:
            raise ConfigError(
                f"model.texts: no texts are called '{where}'.{closest(where, known)} Use one of "
                f"{', '.join(known)}, or the path of a .yaml file of your own."
            )
        folder = resources.files("cliqa.models.language").joinpath("texts")
        content = folder.joinpath(f"{where}.yaml").read_text(encoding="utf-8")
    return parse_texts(content, where)


def parse_texts(content: str, where: str = "texts") -> CandidateTexts:
    r"""Return the texts that a YAML document names; see `load_texts`.

    Raises:
        ConfigError: The document is wrong.

    >>> parse_texts("templates: ['a {}.']\nclasses: {cat: , dog: [dog, hound]}").flat
    ('a cat.', 'a dog.', 'a hound.')
    """
    try:
        document = yaml.load(content, _Loader)  # a safe loader
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        hint = " Indent with spaces, not with tabs." if "'\\t'" in reason else ""
        raise ConfigError(f"model.texts {where}: no YAML ({reason}).{hint}") from error
    kind = _kind_of(document, where)
    templates = _texts(document.get("templates"), f"{where}: templates", [PLACE])
    for template in templates:
        if template.count(PLACE) != 1:
            raise ConfigError(
                f"model.texts {where}: the template {template!r} needs one {PLACE} for a "
                "candidate's text."
            )
    prompts, values = [], []
    for name, entry in document[kind].items():
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(
                f"model.texts {where}: {name!r} is read as a {type(name).__name__}, not as a name. "
                "Put a name into quotes."
            )
        own = f"{where}: {kind}.{name}"
        if kind == "levels":
            value, entry = _level(entry, own)
            values.append(value)
        texts = _texts(entry, own, [name.replace("_", " ")])
        filled = (t.replace(PLACE, text) for text in texts for t in templates)
        prompts.append(tuple(" ".join(prompt.split()) for prompt in filled))
    found = tuple(values) if kind == "levels" else None
    return CandidateTexts(tuple(document[kind]), tuple(prompts), found, where)


class _Loader(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys; PyYAML's own drops the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:  # noqa: ANN401
        """Return a mapping."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubled = [key for index, key in enumerate(keys) if key in keys[:index]]
        if doubled:
            raise yaml.YAMLError(f"{doubled[0]!r} is a duplicate key")
        return super().construct_mapping(node, deep)


def _kind_of(document: object, where: str) -> str:
    """Return whether a document names classes or levels."""
    if not isinstance(document, Mapping):
        raise ConfigError(
            f"model.texts {where}: expected 'templates' and 'classes' or 'levels', got "
            f"{type(document).__name__}."
        )
    unknown = [key for key in document if key not in (*KINDS, "templates")]
    if unknown:
        raise ConfigError(
            f"model.texts {where}: unknown key '{unknown[0]}'. It accepts templates, and classes "
            "or levels."
        )
    given = [kind for kind in KINDS if kind in document]
    if len(given) != 1 or not isinstance(document[given[0]], Mapping) or not document[given[0]]:
        raise ConfigError(
            f"model.texts {where}: needs either 'classes' or 'levels', with a line for each."
        )
    return given[0]


def _level(entry: object, where: str) -> tuple[float, object]:
    """Return a level's value and its texts."""
    found = entry if isinstance(entry, Mapping) else {}
    value: Any = found.get("value")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1 or set(found) - {"value", "texts"}:
        raise ConfigError(
            f"model.texts {where}: a level is {{value: 0..1, texts: [...]}}, got {entry!r}."
        )
    return float(value), found.get("texts")


def _texts(entry: object, where: str, missing: list[str]) -> list[str]:
    """Return one text or several as a list; `missing` if there is none."""
    if entry is None:
        return missing
    texts = [entry] if isinstance(entry, str) else entry
    if not isinstance(texts, list) or not texts:
        raise ConfigError(f"model.texts {where}: expected a text or several, got {entry!r}.")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"model.texts {where}: {text!r} is not a text. Put it into quotes.")
    return texts

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.datasets.classes.fashion_mnist import CLASS_NAMES
from cliqa.models.language.text_files import load_texts, parse_texts, shipped_texts
from cliqa.pretraining.text_anchors import PROMPTS
from cliqa.utils.errors import ConfigError

PETS = "templates: ['a {}.', 'one {}!']\nclasses:\n  cat: cat\n  dog: [dog, hound]\n  sea_lion:\n"


def test_every_text_goes_into_every_template() -> None:
    texts = parse_texts(PETS)
    assert texts.names == ("cat", "dog", "sea_lion")
    assert texts.prompts[1] == ("a dog.", "one dog!", "a hound.", "one hound!")
    assert texts.prompts[2] == ("a sea lion.", "one sea lion!")
    assert texts.owners == (0, 0, 1, 1, 1, 1, 2, 2)
    assert [texts.flat[i] for i in texts.ids_of(1)] == list(texts.prompts[1])
    assert len(texts) == 3
    assert texts.values is None


@pytest.mark.parametrize("name", shipped_texts())
def test_shipped_texts_are_right(name: str) -> None:
    texts = load_texts(name)
    assert all(texts.prompts)
    assert len(texts) == {"cifar100": 100, "clear10": 11}.get(name, len(texts))


def test_shipped_texts_fit_their_data_sets() -> None:
    load_texts("fashion_mnist").check_names(CLASS_NAMES)
    levels = load_texts("quality_levels")
    assert levels.values == (1.0, 0.75, 0.5, 0.25, 0.0)
    good, bad = load_texts("quality_antonyms").prompts
    assert tuple(zip(good, bad, strict=True)) == PROMPTS


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pets.yaml"
    path.write_text(PETS)
    assert load_texts(path).flat == parse_texts(PETS).flat
    with pytest.raises(ConfigError, match=r"other\.yaml: no such file of texts"):
        load_texts(tmp_path / "other.yaml")


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"called 'fashion'.*cifar10, .*a \.yaml file of your"):
        load_texts("fashion")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("classes: {cat: [", r"no YAML \("),
        ("classes: {cat: a, cat: b}", "no YAML .*'cat' is a duplicate key"),
        ("- cat", "expected 'templates' and 'classes' or 'levels', got list"),
        ("", "got NoneType"),
        ("classes: {}", "needs either 'classes' or 'levels'"),
        ("templates: ['{}']", "needs either 'classes' or 'levels'"),
        ("classes: {a: , b: }\nlevels: {a: 1}", "needs either 'classes' or 'levels'"),
        ("classes: {a: , b: }\nprompts: x", "unknown key 'prompts'. It accepts templates"),
        ("classes: {a: }", "one candidate leaves nothing to choose"),
        ("classes: {a: x, b: x}", "'x' is a text of 'a' and of 'b'"),
        ("classes: {a: [x, x], b: }", "'x' is a text of 'a' and of 'a'"),
        ("classes: {a: x, b: ' X  '}", "'X' is a text of 'a' and of 'b'"),
        ("classes:\n  a:\n\tb:", r"no YAML .*line 3.*Indent with spaces, not with tabs"),
        ("classes: {' ': x, b: }", "' ' is read as a str, not as a name"),
        ("classes: {a: [], b: }", r"classes\.a: expected a text or several, got \[\]"),
        ("classes: {a: [' '], b: }", "' ' is not a text"),
        ("classes: {a: [1], b: }", "1 is not a text. Put it into quotes"),
        ("classes: {no: , b: }", "False is read as a bool, .*Put a name into quotes"),
        ("templates: [a photo]\nclasses: {a: , b: }", "template 'a photo' needs one {}"),
        (
            "levels: {a: good, b: bad}",
            r"a level is \{value: 0\.\.1, texts.*got 'good'",
        ),
        ("levels: {a: {value: 2}, b: {value: 0}}", "a level is"),
        ("levels: {a: {value: true}, b: {value: 0}}", "a level is"),
        ("levels: {a: {value: 1, text: x}, b: {value: 0}}", "a level is"),
        ("levels: {a: {value: 1}, b: {value: 1}}", "two levels have the same value"),
    ],
)
def test_wrong_files_are_refused(content: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_texts(content, "my.yaml")


def test_files_are_read_as_utf8_and_as_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    text = "classes: {bag: Täschchen für Größen, coat: '外套'}"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text(text, encoding=encoding)
        assert load_texts(path).flat == ("Täschchen für Größen", "外套")
    path.write_bytes("classes: {bag: Täschchen, coat: }".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"no UTF-8 text \(byte 16\)\. Save the file as UTF-8"):
        load_texts(path)
    path.write_text(text, encoding="utf-16")
    with pytest.raises(ConfigError, match="Save the file as UTF-8"):
        load_texts(path)

"""Tests of cliqa.config.option_values."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.option_values import Kind, kind_of, kind_of_annotation, parse_value
from cliqa.utils.errors import ConfigError

WHERE = "--cfg-options key"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("True", True),
        ("false", False),
        ("None", None),
        ("none", "none"),
        ("SGD", "SGD"),
        ("", ""),
        ("1_000", "1_000"),
        ("two words", "two words"),
        ("a=b", "a=b"),
        ("1,2,3", [1, 2, 3]),
        ("a, b", ["a", "b"]),
        ("1,", [1]),
        ("[1,2]", [1, 2]),
        ("[]", []),
        ("()", ()),
        ("(256,)", (256,)),
        ("(256, 256)", (256, 256)),
        ("'(256,256)'", (256, 256)),
        ('"[1,2]"', [1, 2]),
        ("[1,(2,3),[a,None]]", [1, (2, 3), ["a", None]]),
        ("['a,b', \"c\"]", ["a,b", "c"]),
        ("'42'", "42"),
        ("'a,b'", "a,b"),
        ("'a','b'", ["a", "b"]),
        ("data/a,b.csv", "data/a,b.csv"),
        ("C:\\x,y", "C:\\x,y"),
        ("{'a': 1, 'b': [None]}", {"a": 1, "b": [None]}),
        (
            "dict(type='A', lr=-1e-3, betas=(0.9, 1))",
            {"type": "A", "lr": -0.001, "betas": (0.9, 1)},
        ),
        ("[dict(a=dict(b=1)), {'type': 'B'}]", [{"a": {"b": 1}}, {"type": "B"}]),
        ("dict()", {}),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = parse_value(text, None, WHERE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "old", "value"),
    [
        ("a,b", "old", "a,b"),
        ("a/b,c/d", ["old"], ["a/b", "c/d"]),
        ("a/b,c/d", ("old",), ["a/b", "c/d"]),
        ("[a,b]", "old", ["a", "b"]),
        ("3", "old", 3),
        ("None", "old", None),
    ],
)
def test_commas_follow_what_the_key_holds(text: str, old: Any, value: Any) -> None:
    assert parse_value(text, old, WHERE) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1,2", "key=\\[1,2: '\\]' is missing at the end"),
        ("(1,2]", "'\\)' is missing at the end"),
        ("(", "'\\)' is missing at the end"),
        ("[1,(2]", "'\\)' is missing"),
        ("1),2", "'\\)' has no opening bracket"),
        ("[(1],2)]", "'\\]' has no opening bracket"),
        ("a,'b", '"\'" is missing'),
        ("{1: 2", "cannot read {1: 2. Write dict"),
        ("dict(lr=open)", "cannot read dict\\(lr=open\\)"),
        ("dict([('a', 1)])", "cannot read dict"),
        ("dict(**{})", "cannot read dict"),
        ("{1, 2}", "{1, 2} is not a dict"),
        ("[dict(a=__import__('os'))]", "cannot read dict\\(a=__import__"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_value(text, None, WHERE)


NAMES = ["2024", "True", "[z]", "~x", "scores (1).csv", "(1) a", "a=b", "a,b", "#1", "it's", "1e3"]


@pytest.mark.parametrize("text", [*NAMES, "None", "", "two words", "dict(a=1)", "{x}", "'a"])
def test_a_name_is_its_text(text: str) -> None:
    assert parse_value(text, None, WHERE, Kind()) == text


@pytest.mark.parametrize("text", NAMES)
def test_quotes_around_a_name_are_not_part_of_it(text: str) -> None:
    assert parse_value(f'"{text}"', None, WHERE, Kind()) == text


def test_none_is_no_name_where_it_may_stand() -> None:
    assert parse_value("None", "old", WHERE, Kind(none=True)) is None
    assert parse_value("'None'", "old", WHERE, Kind(none=True)) == "None"


@pytest.mark.parametrize(
    ("text", "old", "kind", "value"),
    [
        ("[2024,a]", None, Kind(lists=True), ["2024", "a"]),
        ("('a,b', True)", None, Kind(lists=True), ("a,b", "True")),
        ("2024,a", None, Kind(name=False, lists=True), ["2024", "a"]),
        ("a,b", "old", Kind(lists=True), "a,b"),
        ("a,b", ["old"], Kind(lists=True), ["a", "b"]),
        ("2024", None, Kind(name=False, lists=True), "2024"),
        ("dict(path='a', strict=True)", None, Kind(lists=True), {"path": "a", "strict": True}),
    ],
)
def test_lists_of_names(text: str, old: Any, kind: Kind, value: Any) -> None:
    assert parse_value(text, old, WHERE, kind) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "'\\]' is missing at the end"),
        ("a),b", "'\\)' has no opening bracket"),
        ("dict(a=", "cannot read dict"),
    ],
)
def test_lists_of_names_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_value(text, None, WHERE, Kind(name=False, lists=True))


CONFIG: dict[str, Any] = {
    "scenario": {
        "type": "QualityStream",
        "dataset_root": "data",
        "datasets": [{"type": "ScoreFile"}, {"type": "mine.Data"}],
        "generate": {"type": "DemoData"},
    },
    "model": {"type": "LightweightModel"},
    "cl_strategy": {
        "type": "LoRA",
        "optimizer": {"type": "SGD"},
        "plugins": [{"type": "Distillation"}],
    },
}


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("str", Kind()),
        ("str | Path", Kind()),
        ("str | None", Kind(none=True)),
        ("str | Path | nn.Module | None", Kind(none=True)),
        ("Sequence[str]", Kind(name=False, lists=True)),
        ("str | Sequence[str]", Kind(lists=True)),
        ("str | Mapping[str, Any]", Kind(lists=True)),
        ("bool", None),
        ("bool | str", None),
        ("int | None", None),
        ("Policy", None),
        ("Sequence[int | str] | None", None),
        ("Mapping[str, Any] | None", None),
        ("nn.Module", None),
    ],
)
def test_annotations(annotation: str, kind: Kind | None) -> None:
    assert kind_of_annotation(annotation) == kind


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("work_dir", Kind(none=True)),
        ("load_from.path", Kind()),
        ("scenario.dataset_root", Kind()),
        ("scenario.order", Kind(name=False, lists=True, none=True)),
        ("scenario.datasets.0.root", Kind()),
        ("scenario.datasets.0.labels", Kind(lists=True)),
        (
            "scenario.datasets.0.images",
            Kind(lists=True, none=True),
        ),  # of the class it inherits from
        ("scenario.datasets.0.higher_is_better", None),
        ("scenario.datasets.1.root", None),
        ("scenario.datasets.7.root", None),
        ("model.backbone", Kind()),
        ("model.pretrained", None),
        ("cl_strategy.targets", Kind(lists=True)),
        ("cl_strategy.plugins.0.teacher", Kind(none=True)),
        ("cl_strategy.optimizer.lr", None),
        ("seed", None),
    ],
)
def test_keys(key: str, kind: Kind | None) -> None:
    assert kind_of(CONFIG, key) == kind


@pytest.mark.parametrize("config", [{}, {"scenario": None}, {"cl_strategy": 3}, {"model": []}])
def test_broken_configs_leave_it_open(config: dict[str, Any]) -> None:
    assert kind_of(config, "scenario.datasets.0.root") is None

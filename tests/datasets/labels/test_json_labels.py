from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cliqa.datasets.labels.json_labels import read_json
from cliqa.utils.errors import DatasetError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.json"


@pytest.mark.parametrize("text", ["[{}, {}]", '{{"files": [{}, {}]}}'])
def test_numbers_may_be_strings_and_come_back_exactly(path: Path, text: str) -> None:
    path.write_text(
        text.format('{"image": "a.jpg", "score": 75.3200000001}', '{"image": "b", "score": "7.5"}')
    )
    sheet = read_json(path, ("image", "score"))
    np.testing.assert_array_equal(sheet.numbers("score"), [75.3200000001, 7.5])
    assert sheet.rows == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"image": "a",}]', r"a\.json, line 1, column \d+: no valid JSON"),
        ('[\n{"image": "a"}\n', "line 3, column 1"),
        ("[" * 100_000, "no readable JSON"),
        ("[" + "9" * 5000 + "]", "no readable JSON"),
        ('[{"image": "a", "score": 1, "score": 9}]', "'score' occurs twice in an object"),
        ("3", "expected a list of entries, got int"),
        ("[]", "the list of entries is empty"),
        ('["a.jpg"]', "row 1: expected an object with names, got str"),
        ('{"file": []}', r"no 'files' at the top\. Did you mean 'file'\?"),
        ('{"files": {"a": 1}}', "expected a list of entries, got dict"),
        ('[{"image": "a", "mos": 1}]', "no column 'score'. It has image, mos"),
    ],
)
def test_what_is_no_list_of_entries_is_named(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_json(path, ("image", "score"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("null", "row 2: 'score' is empty"),
        ("true", "row 2: 'score' is 'True'"),
        ("[1]", "not a number"),
    ],
)
def test_an_entry_without_a_number_is_named(path: Path, value: str, message: str) -> None:
    path.write_text(f'[{{"image": "a", "score": 1}}, {{"image": "b", "score": {value}}}]')
    with pytest.raises(DatasetError, match=message):
        read_json(path, ("image", "score")).numbers("score")


def test_an_entry_that_lacks_a_name_is_named(path: Path) -> None:
    path.write_text('[{"image": "a", "score": 1}, {"image": "b"}]')
    with pytest.raises(DatasetError, match="row 2: 'score' is empty"):
        read_json(path, ("image", "score")).numbers("score")

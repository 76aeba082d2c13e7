"""The place of a data set whose files are gone."""

from __future__ import annotations

from cliqa.benchmarks.absent import AbsentDataset
from cliqa.benchmarks.quality_stream import QualityStream


def test_it_has_no_image_in_any_split() -> None:
    gone = AbsentDataset("a", "no folder")
    for split in ("train", "val", "test", "all"):
        assert len(gone.subset(split)) == 0
    assert gone.score_warnings == ("a: not there any more, so it is not evaluated: no folder",)


def test_it_keeps_its_place_in_a_stream(tiny_stream: QualityStream) -> None:
    datasets = [tiny_stream.sources[name, "train"] for name in "bc"]
    whole = [AbsentDataset("a", "no folder")]
    stream = QualityStream(
        [*whole, *datasets], tiny_stream.train_transform, tiny_stream.eval_transform
    )
    assert stream.absent == {"a": "no folder"}
    places = [(e.current_experience, e.name, len(e.dataset)) for e in stream.train_stream]
    assert [place[:2] for place in places] == [(0, "a"), (1, "b"), (2, "c")]
    assert places[0][2] == 0 < places[1][2]
    assert stream.tested({0}) == [1, 2]
    assert stream.notes[0].startswith("a: not there any more")

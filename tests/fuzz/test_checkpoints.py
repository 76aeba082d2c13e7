"""Checkpoints and exported files with damaged bytes, entries and configs; see `conftest`."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from cliqa.inference.predict import Predictor
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from tests.fuzz.conftest import Try, cases
from tests.fuzz.damage import OUT_OF_RANGE, WRONG_KINDS, changed, damaged_bytes, drop, paths_of

CPU = torch.device("cpu")


class Content(bytes):
    """A file's bytes; hypothesis shows every argument of a test."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


@pytest.fixture(scope="module")
def run_bytes(tiny_run: Path) -> Content:
    return Content((tiny_run / "checkpoints" / "last.pth").read_bytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


def same(first: Any, second: Any) -> bool:
    """Return whether two nested states are equal to the bit."""
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        equal = isinstance(second, dict) and list(first) == list(second)
        return equal and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return (
            type(first) is type(second)
            and len(first) == len(second)
            and all(map(same, first, second))
        )
    return bool(first == second) or first != first  # noqa: PLR0124  a NaN is itself


@cases(short=40, long=800)
@given(data=st.data())
def test_damaged_bytes_are_found_or_harmless(
    data: st.DataObject, run_bytes: bytes, tiny_run: Path, folder: Path, attempt: Try
) -> None:
    content = data.draw(
        damaged_bytes(run_bytes, junk=(b"\0", b"\xff" * 9, b"PK\x05\x06", b"x" * 64))
    )
    assume(content != run_bytes)
    path = folder / "last.pth"
    path.write_bytes(content)
    state = attempt("checkpoint, bytes", lambda: load_checkpoint(path))
    if state is not None:
        valid = load_checkpoint(tiny_run / "checkpoints" / "last.pth")
        assert same(valid, state), "loaded, and not what was saved"


@cases(short=20, long=300)
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_one_flipped_bit(
    place: int, bit: int, run_bytes: bytes, tiny_run: Path, folder: Path, attempt: Try
) -> None:
    content = bytearray(run_bytes)
    content[place % len(content)] ^= 1 << bit
    path = folder / "flipped.pth"
    path.write_bytes(content)
    state = attempt("checkpoint, one bit", lambda: load_checkpoint(path))
    if state is not None:
        assert same(load_checkpoint(tiny_run / "checkpoints" / "last.pth"), state)


@cases(short=10, long=100)
@given(data=st.data())
def test_exchanged_entries(
    data: st.DataObject, run_bytes: bytes, folder: Path, attempt: Try, tiny_run: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(run_bytes)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    tensors = sorted(name for name in content if "/data/" in name)
    first, second = (data.draw(st.sampled_from(tensors)) for _ in range(2))
    assume(content[first] != content[second])
    content[first], content[second] = content[second], content[first]
    path = folder / "exchanged.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    state = attempt("checkpoint, exchanged", lambda: load_checkpoint(path))
    assert state is None or same(load_checkpoint(tiny_run / "checkpoints" / "last.pth"), state)


HOSTILE = (
    *("os.system", "subprocess.Popen", "builtins.eval", "canary.Boom", "canary.boom", "torch.load"),
    *("mmengine.fileio.get", "cliqa.utils.io.write_text", "cliqa.canary.Boom", "shutil.rmtree"),
    *("torchvision.transforms.v2.Lambda", "mmpretrain.canary.Boom", "avalanche.canary.Boom"),
    *("http://127.0.0.1:9/x.pth", "/etc/passwd", "../../etc/passwd", "https://127.0.0.1:9/x"),
)


@st.composite
def hostile_values(draw: st.DrawFn) -> Any:
    name = draw(st.sampled_from(HOSTILE))
    return draw(
        st.sampled_from(
            [
                name,
                {"type": name},
                {"type": name, "args": ["touch", "PWNED"]},
                {"type": "Pretrained", "checkpoint": name},
                {"type": "ResNet", "depth": 18, "init_cfg": {"type": name, "checkpoint": name}},
                {"imports": ["canary"]},
                [{"type": name, "args": "touch PWNED", "shell": True}],
            ]
        )
    )


@pytest.fixture(scope="module")
def _canary(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Put a module on the path that tells when it is imported."""
    parent = tmp_path_factory.mktemp("canary")
    (parent / "canary.py").write_text(
        "import torch\nclass Boom(torch.nn.Module):\n    pass\ndef boom(**_):\n    return Boom()\n"
    )
    sys.path.insert(0, str(parent))
    yield
    sys.path.remove(str(parent))
    sys.modules.pop("canary", None)


def predict(path: Path, image: Path) -> list[float | None]:
    """Score an image with a file, as tools/predict.py does."""
    return [row.score for row in Predictor(path, CPU).predict([image])]


@cases(short=25, long=500)
@given(data=st.data())
@pytest.mark.usefixtures("_canary")
def test_a_hostile_entry_runs_and_fetches_nothing(
    data: st.DataObject,
    tiny_run: Path,
    tiny_data: Path,
    folder: Path,
    attempt: Try,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forbid(monkeypatch)
    state = load_checkpoint(tiny_run / "checkpoints" / "last.pth")
    place = data.draw(st.sampled_from(list(paths_of(state["config"]))))
    value = data.draw(hostile_values())
    hostile = changed(state["config"], place, lambda owner, key: owner.__setitem__(key, value))
    path = folder / "hostile.pth"
    save_checkpoint(path, {**state, "config": hostile})
    attempt("checkpoint, hostile", lambda: predict(path, tiny_data / "a" / "a00.png"))
    assert "canary" not in sys.modules


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test where a program is started or an address is asked for."""

    def fail(*args: object, **_: object) -> None:
        pytest.fail(f"a file made the package call out: {args!r}")

    for name in (
        "os.system",
        "subprocess.Popen",
        "socket.create_connection",
        "urllib.request.urlopen",
    ):
        monkeypatch.setattr(name, fail)


@cases(short=25, long=500)
@given(data=st.data())
def test_a_damaged_entry(
    data: st.DataObject, tiny_run: Path, tiny_data: Path, folder: Path, attempt: Try
) -> None:
    state = load_checkpoint(tiny_run / "checkpoints" / "last.pth")
    places = list(paths_of(state))
    place = data.draw(st.sampled_from(places))
    pool = [*WRONG_KINDS, torch.zeros(3), torch.zeros(3, 3, dtype=torch.int64)]
    pool += [value for value in OUT_OF_RANGE if not isinstance(value, int)]
    value = data.draw(st.sampled_from([*pool, drop]))
    change = drop if value is drop else lambda owner, key: owner.__setitem__(key, value)
    path = folder / "entry.pth"
    save_checkpoint(path, changed(state, place, change))
    attempt("checkpoint, entry", lambda: predict(path, tiny_data / "a" / "a00.png"))


@pytest.fixture(scope="module")
def exported(tiny_run: Path, folder: Path, quick_exports: None) -> Content:  # noqa: ARG001
    """Return the bytes of an exported model."""
    pytest.importorskip("onnxruntime")
    from cliqa.compress.export import export_checkpoint  # noqa: PLC0415

    path = folder / "model.onnx"
    export_checkpoint(tiny_run, path)
    return Content(path.read_bytes())


@cases(short=25, long=400)
@given(data=st.data())
def test_an_exported_file_with_damaged_bytes(
    data: st.DataObject, exported: bytes, folder: Path, tiny_data: Path, attempt: Try
) -> None:
    content = data.draw(damaged_bytes(exported, junk=(b"\0", b"\xff" * 9, b"x" * 64)))
    path = folder / "damaged.onnx"
    path.write_bytes(content)
    image = tiny_data / "a" / "a00.png"
    found = attempt("exported, bytes", lambda: predict(path, image))
    if found is not None:
        path.write_bytes(exported)
        assert found == predict(path, image), "other scores, and not a word"


@cases(short=20, long=300)
@given(data=st.data())
@pytest.mark.usefixtures("_canary")
def test_a_hostile_description(
    data: st.DataObject,
    exported: bytes,
    folder: Path,
    tiny_data: Path,
    attempt: Try,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    onnx = pytest.importorskip("onnx")
    forbid(monkeypatch)
    proto = onnx.load_from_string(exported)
    described = json.loads(next(row.value for row in proto.metadata_props if row.key == "cliqa"))
    place = data.draw(st.sampled_from(list(paths_of(described))))
    value = data.draw(st.one_of(hostile_values(), st.sampled_from(WRONG_KINDS[:-1])))
    hostile = changed(described, place, lambda owner, key: owner.__setitem__(key, value))
    for row in proto.metadata_props:
        if row.key == "cliqa":
            row.value = json.dumps(hostile, default=str)
    path = folder / "hostile.onnx"
    path.write_bytes(proto.SerializeToString())
    attempt("exported, hostile", lambda: predict(path, tiny_data / "a" / "a00.png"))
    assert "canary" not in sys.modules

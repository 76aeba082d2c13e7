"""Tests of cliqa.config.signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn
from torch.optim import SGD

from cliqa.config.annotations import UNKNOWN
from cliqa.config.signature import arguments_of, describe, parameters_of


class Base:
    """Takes x and y."""

    def __init__(self, x: int, y: float = 0.5) -> None:
        self.x, self.y = x, y


class PassesOn(Base):
    """Takes z and what Base takes."""

    def __init__(self, z: str = "a", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.z = z


class PassesOnTwice(PassesOn):
    """Takes what PassesOn takes, with another default of y."""

    def __init__(self, y: float = 2.0, **kwargs: Any) -> None:
        PassesOn.__init__(self, y=y, **kwargs)


class KeepsThem(Base):
    """Takes any name: its keywords go elsewhere."""

    def __init__(self, z: str = "a", **options: Any) -> None:
        super().__init__(x=1)
        self.options = dict(z=z, **options)


class TakesOneOut(Base):
    """Takes any name: it looks into its keywords before passing them on."""

    def __init__(self, **kwargs: Any) -> None:
        self.extra = kwargs.pop("extra", None)
        super().__init__(**kwargs)


class Inherits(PassesOn):
    """Has no constructor of its own."""


class Network(nn.Module):
    """Passes keywords to torch's Module, which takes none."""

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width


class Root:
    """Passes keywords to object, which takes none."""

    def __init__(self, a: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.a = a


class Empty:
    """Has no constructor at all."""


def function(a: int, /, b: int, *rest: int, c: int = 3) -> None:
    """Take b and c by name."""


@pytest.mark.parametrize(
    ("component", "names", "open_ended"),
    [
        (Base, "x y", False),
        (PassesOn, "x y z", False),
        (PassesOnTwice, "x y z", False),
        (Inherits, "x y z", False),
        (KeepsThem, "z", True),
        (TakesOneOut, "", True),
        (Network, "width", False),
        (Root, "a", False),
        (Empty, "", False),
        (function, "b c", False),
        (lambda **anything: anything, "", True),
        (dict, "", True),
    ],
)
def test_names(component: Callable[..., Any], names: str, open_ended: bool) -> None:
    found, takes_any = parameters_of(component)
    assert sorted(found) == names.split()
    assert takes_any is open_ended


def test_the_nearest_default_counts() -> None:
    assert parameters_of(PassesOnTwice)[0]["y"].default == 2.0


def test_description_reads_as_it_was_written() -> None:
    found, _ = parameters_of(PassesOn)
    assert describe(found, hidden=()) == "x: int, y: float = 0.5, z: str = 'a'"
    assert describe(found, hidden=["x", "z"]) == "y: float = 0.5"
    assert describe({}, hidden=()) == "no argument"
    assert describe(parameters_of(lambda a, b=1: a)[0], hidden=()) == "a, b = 1"


def test_description_of_annotations_that_are_types() -> None:
    def build(a, b=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return a, b

    build.__annotations__ = {"a": int, "b": list[int]}  # as a module without postponed annotations
    assert describe(parameters_of(build)[0], ()) == "a: int, b: list[int] = None"


def test_arguments_with_their_annotations() -> None:
    found = arguments_of(PassesOnTwice)
    assert found["x"] == (int, inspect.Parameter.empty, __name__)
    assert found["y"] == (float, 2.0, __name__)
    assert found["z"] == (str, "a", __name__)


def test_annotations_that_cannot_be_read_are_unknown() -> None:
    def function(a: NoSuchName, b: int = 0) -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    assert arguments_of(function)["a"].annotation is UNKNOWN
    assert arguments_of(function)["b"].annotation is int
    assert arguments_of(min) == {}


def test_an_argument_belongs_to_the_module_that_wrote_it() -> None:
    class Own(SGD):
        def __init__(self, gain: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    found = arguments_of(Own)
    assert (found["gain"].module, found["lr"].module) == (__name__, "torch.optim.sgd")

"""Records: as dataclasses are, where they stand for one."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path

import pytest

import tiledsl
from tiledsl.record import Record


class Point(Record):
    """Two numbers, and more."""

    x: int
    y: int = 2
    names: list[str] = field(default_factory=list)
    secret: str = field(default="s", repr=False)
    note: str = field(default="", repr=False, compare=False, metadata={"unit": "none"})

    @property
    def total(self) -> int:
        return self.x + self.y


@dataclass(frozen=True)
class Plain:
    x: int
    y: int = 2
    names: list[str] = field(default_factory=list)
    secret: str = field(default="s", repr=False)
    note: str = field(default="", repr=False, compare=False, metadata={"unit": "none"})


class Further(Point, eq=False):
    """A point with a field of its own."""

    z: float = 0.5


MADE = [((1,), {}), ((1, 3), {}), ((1,), {"y": 5}), ((), {"secret": "t", "x": 1}), ((1, 2, ["a"], "b"), {})]


@pytest.mark.parametrize("values, named", MADE)
def test_a_record_is_made_shown_and_compared_like_a_dataclass(values: tuple, named: dict) -> None:
    record, plain = Point(*values, **named), Plain(*values, **named)
    assert repr(record) == repr(plain).replace("Plain", "Point")
    assert [value for _, value in record.items()] == [plain.x, plain.y, plain.names, plain.secret, plain.note]
    assert record == Point(*values, **named) and record != Point(9) and record != plain
    assert copy.copy(record) == pickle.loads(pickle.dumps(record)) == record


@pytest.mark.parametrize("values, named", [((), {}), ((1, 2, [], "", "", 5), {}), ((1,), {"x": 2}), ((1,), {"w": 2})])
def test_wrong_fields_are_refused(values: tuple, named: dict) -> None:
    for kind in (Point, Plain):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_a_record_does_not_change() -> None:
    record = Point(1)
    for change in (lambda: setattr(record, "x", 2), lambda: delattr(record, "x"), lambda: setattr(record, "new", 2)):
        with pytest.raises(FrozenInstanceError):
            change()
    assert record.names is not Point(1).names
    assert hash(Point(1, 2, ())) == hash(Point(1, 2, ()))  # type: ignore[arg-type]


def test_fields_are_inherited_and_identity_may_be_asked_for() -> None:
    further = Further(1)
    assert repr(further) == "Further(x=1, y=2, names=[], z=0.5)" and further.total == 3
    assert further != Further(1) and further == further and len({further, Further(1)}) == 2


def test_what_is_not_compared_makes_no_difference_and_facts_about_fields_are_kept() -> None:
    for kind in (Point, Plain):
        assert kind(1, note="here") == kind(1, note="there") != kind(2, note="here")
    assert Point.about() == Further.about() == {"note": {"unit": "none"}}


def test_a_record_can_be_made_again_with_changes() -> None:
    assert Point(1, secret="t").but(y=7) == Point(1, 7, secret="t")
    with pytest.raises(TypeError):
        Point(1).but(w=2)


IMPORTING = """
import dataclasses, inspect, numpy
made = []
signature, dataclass = inspect.signature, dataclasses.dataclass
inspect.signature = lambda *args, **given: made.append("signature") or signature(*args, **given)
dataclasses.dataclass = lambda *args, **given: made.append("dataclass") or dataclass(*args, **given)
import tiledsl
print(made.count("signature"), made.count("dataclass"))
"""


def test_importing_makes_few_dataclasses_and_signatures() -> None:
    """Those of every op's rule, and of what is now a record, took a quarter of the time of `import tiledsl`."""
    roots = {str(Path(path).parent) for path in tiledsl.__path__} | set(tiledsl.__path__)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    said = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=True, env=environment).stdout
    signatures, dataclasses = map(int, said.split())
    assert signatures <= 3 and dataclasses <= 14

"""What a running kernel says: prints and failed assertions, written to a buffer that the launch reads afterwards.

A kernel that may say something has one more parameter, an array of 64-bit words. Word 0 counts the words that records
take, word 1 is the number of an assertion that failed (0: none). A record is the number of its message, the three program
ids, and one word per element. Records that do not fit are counted and dropped.

Behind the records stands what a kernel that checks its accesses needs: the first access outside of all arrays that it met, and
where the arrays lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import AssertionFailed
from .ir.types import DTYPES, DType
from .location import Loc
from .record import Record

HEADER, RECORD = 2, 4  # words before the records, and before the elements of one
CAPACITY = 1 << 18  # words for records
OUTSIDE = HEADER + CAPACITY  # of an access outside: the number of its message (0: none), the lane, its address, the three program ids
SPARE = OUTSIDE + 6  # a word that nobody reads
SPANS = SPARE + 1  # the first address and the one after the last of every region of memory that may be touched


class Message(Record):
    """One place in a kernel that may say something."""

    text: str  # of an assertion: what to say; of a print: what stands before the value
    loc: Loc | None
    is_assertion: bool = False
    hex: bool = False
    operands: tuple[tuple[str, tuple[int, ...]], ...] = ()  # element type and shape of each value printed, or accessed
    access: str = ""  # of a check that an access is inside: "read" or "write"; its text is the number of the array, if one is known

    def record(self) -> list[Any]:
        """As plain data, to be kept in a file."""
        return [self.text, self.loc and self.loc.plain(), self.is_assertion, self.hex, self.operands, self.access]

    @staticmethod
    def of(record: Sequence[Any]) -> Message:
        """The message that made a record."""
        text, place, is_assertion, as_hex, operands, access = record
        shapes = tuple((str(elem), tuple(map(int, shape))) for elem, shape in operands)
        return Message(text, Loc.of(place), is_assertion, as_hex, shapes, access)

    @property
    def words(self) -> int:
        """How long a record is."""
        return RECORD + sum(int(np.prod(shape, dtype=int)) for _, shape in self.operands)


def empty(spans: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """A buffer for one launch of a kernel that may touch these addresses, as far as it checks."""
    words = np.zeros(SPANS + 2 * len(spans), np.int64)
    words[SPANS:] = np.asarray(spans, np.int64).reshape(-1)
    return words


def tell(messages: Sequence[Message], buffer: np.ndarray) -> None:
    """Print what was printed."""
    at, end = HEADER, HEADER + min(int(buffer[0]), CAPACITY)
    while at < end and buffer[at]:
        message = messages[int(buffer[at]) - 1]
        for line in lines(message, buffer[at + 1 : at + message.words]):
            print(line)
        at += message.words
    if buffer[0] > CAPACITY:
        print(f"... {int(buffer[0]) - CAPACITY} more values were not kept")


def outside(messages: Sequence[Message], buffer: np.ndarray) -> tuple[Message, int, int, tuple[int, ...]] | None:
    """The first access outside of all arrays: its message, the lane, the address, the program; None if there was none."""
    number, lane, address, *program = map(int, buffer[OUTSIDE:SPARE])
    return (messages[number - 1], lane, address, tuple(program)) if number else None


def require_held(messages: Sequence[Message], buffer: np.ndarray) -> None:
    """Raise AssertionFailed if an assertion failed."""
    if buffer[1]:
        failed = messages[int(buffer[1]) - 1]
        raise AssertionFailed(f"device-side assertion failed: {failed.text}" if failed.text else "device-side assertion failed", failed.loc)


def lines(message: Message, record: np.ndarray) -> list[str]:
    """One line per element: the program, the index, the prefix and the value."""
    x, y, z, *_ = map(int, record[:3])
    text = message.text.rstrip().removesuffix(":") if message.operands else message.text  # a colon follows anyway
    prefix = f" {text}" if text else ""
    if not message.operands:
        return [f"pid ({x}, {y}, {z}){prefix}"]
    found = []
    at = RECORD - 1
    for number, (elem, shape) in enumerate(message.operands):
        operand = f"(operand {number}) " if len(message.operands) > 1 else ""
        widths = [len(str(n - 1)) for n in shape]
        for index in itertools.product(*map(range, shape)):
            place = ", ".join(f"{i:{w}}" for i, w in zip(index, widths, strict=True))
            found.append(f"pid ({x}, {y}, {z}) idx ({place}){prefix}: {operand}{spoken(int(record[at]), elem, message.hex)}")
            at += 1
    return found


def spoken(word: int, elem: str, as_hex: bool) -> str:
    """A value from its 64 bits: floats were widened to f64, integers extended, pointers are addresses."""
    dtype = DTYPES.get(elem)
    if dtype is None or as_hex:
        bits = 64 if dtype is None else dtype.bits
        return f"0x{word & ((1 << bits) - 1):0{bits // 4}x}"
    if dtype.is_float:
        return f"{np.int64(word).view(np.float64):f}"
    return str(_integer(word, dtype))


def _integer(word: int, dtype: DType) -> int:
    return word if dtype.is_signed else word & ((1 << dtype.bits) - 1)

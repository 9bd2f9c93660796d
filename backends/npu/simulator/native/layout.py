"""How the native simulator sees a core: one block of 64-bit words, and a record for each instruction of the program.

Registers come first, so that the offset of r0 is 0. Descriptors begin with the rows that a trace keeps of them (`trace.TILE`,
`trace.BOX`); what follows is derived when a descriptor is used for the first time after it was set.
"""

from __future__ import annotations

from ...isa.state import DTYPE_OF

WORD = 8
ITEMSIZES = tuple(dtype.itemsize for dtype in DTYPE_OF)  # by the code of a type
REGISTERS, TILES, BOXES = 32, 64, 32  # what the fields of words can name; a machine may have fewer


class Tile:
    """Words of a tile descriptor."""

    SPACE, DTYPE, BASE, RANK = range(4)
    EXTENTS, STRIDES = 4, 8
    ROW = 12  # so many words make a row of the trace
    STATE = 12  # UNSET, SET, or CHECKED
    DATA, LOW, HIGH = 13, 14, 15  # addresses: of the first element, of the first byte, after the last
    SIZE = 16  # elements
    TRACED = 17  # the row of the trace that held it last, or -1
    WORDS = 18


class Box:
    """Words of a box in DRAM."""

    DTYPE, BASE, RANK, FILL = range(4)
    EXTENTS, STRIDES, LOW, HIGH = 4, 8, 12, 16
    ROW = 20
    STATE, TRACED = 20, 21
    WORDS = 22


UNSET, SET, CHECKED = range(3)

FIRST_TILE = REGISTERS
ABSENT = TILES  # a tile that stands for operands which an instruction lacks: always in order, in no trace
FIRST_BOX = FIRST_TILE + (TILES + 1) * Tile.WORDS
HEAD = FIRST_BOX + BOXES * Box.WORDS


class Head:
    """Words of what else a core holds."""

    MEMORY, MEMORY_END, USED = range(HEAD, HEAD + 3)  # of the scratchpad: address, the one after it, the highest that a tile reached
    ACC, ACC_END, ACC_USED = range(HEAD + 3, HEAD + 6)  # the same of the accumulators
    REGIONS, REGION_COUNT = range(HEAD + 6, HEAD + 8)  # the buffers of the launch
    PID, NPID = HEAD + 8, HEAD + 11  # three words each
    ARGUMENTS, ARGUMENT_COUNT = range(HEAD + 14, HEAD + 16)
    PROGRAM, LENGTH = range(HEAD + 16, HEAD + 18)  # the records
    PC, ISSUED, LIMIT = range(HEAD + 18, HEAD + 21)
    STEPS, STEP_COUNT, STEP_ROOM = range(HEAD + 21, HEAD + 24)  # the trace
    TILE_ROWS, TILE_COUNT, TILE_ROOM = range(HEAD + 24, HEAD + 27)
    BOX_ROWS, BOX_COUNT, BOX_ROOM = range(HEAD + 27, HEAD + 30)
    TOUCHED, LATEST = range(HEAD + 30, HEAD + 32)  # by the last transfer: how many elements; the address of a single one
    RANK, ELEMENTS = range(HEAD + 32, HEAD + 34)  # limits of a descriptor
    SCRATCH, SCRATCH_BYTES = range(HEAD + 34, HEAD + 36)
    SHAPED, APART, SPREAD = range(HEAD + 36, HEAD + 39)  # addresses of functions that look at tiles
    POLL_EVERY, POLL_LEFT = range(HEAD + 39, HEAD + 41)  # jumps back between two polls
    WORDS = HEAD + 41


class Region:
    """Words of a buffer in DRAM."""

    START, STOP, WRITABLE, MARKS = range(4)  # addresses; MARKS: of a flag per byte that says whether it was written, or 0
    WORDS = 4


class Record:
    """Words of an instruction: where its function is, for which types, and its operands, registers as byte offsets."""

    FUNCTION, TYPES = 0, 1  # TYPES: eight bits per tile operand, then the box's
    WHEN, UNLESS = 2, 3
    TILE_COUNT, TILE = 4, 5  # four words: operands that are tiles, ABSENT where there are fewer
    BOX = 9  # or -1
    OPERANDS = 10  # six words
    WORDS = 16


# what a function returns to the loop, and the loop to Python
GO, FALL_BACK, HALTED, POLL, RESOLVE, EXHAUSTED, FULL, LOST = range(8)


def register(number: int) -> int:
    """The byte offset of a scalar register."""
    return number * WORD


def tile(number: int) -> int:
    """The byte offset of a tile descriptor."""
    return (FIRST_TILE + number * Tile.WORDS) * WORD


def box(number: int) -> int:
    """The byte offset of a box."""
    return (FIRST_BOX + number * Box.WORDS) * WORD

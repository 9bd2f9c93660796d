"""What native functions ask about tiles: are they of one shape, does a write disturb a read? Made once, with the loop."""

from __future__ import annotations

from .layout import Head, Tile
from .write import Function


def shaped() -> Function:
    """Whether two tiles have one shape."""
    f = Function("shaped", "ptr %t0, ptr %t1")
    words = [Tile.RANK, *range(Tile.EXTENTS, Tile.EXTENTS + 4)]
    f.require(f.both(*(f.test("eq", f.word("%t0", i), f.word("%t1", i)) for i in words)))
    return f


def apart() -> Function:
    """Whether two tiles share no byte; or, if that is good enough, are one."""
    f = Function("apart", "ptr %t0, ptr %t1, i64 %in_place")
    before = f.test("sle", f.word("%t0", Tile.HIGH), f.word("%t1", Tile.LOW))
    behind = f.test("sle", f.word("%t1", Tile.HIGH), f.word("%t0", Tile.LOW))
    words = [Tile.DATA, *range(Tile.STRIDES, Tile.STRIDES + 4)]
    one = f.both(f.test("ne", "%in_place", 0), *(f.test("eq", f.word("%t0", i), f.word("%t1", i)) for i in words))
    f.require(f.either(before, behind, one))
    return f


def spread() -> Function:
    """Whether no two elements of a tile begin less than an element's size apart along any one axis."""
    f = Function("spread", "ptr %t0, i64 %size")
    for axis in range(4):
        stride = f.b.call("i64", "llvm.abs.i64", ("i64", f.word("%t0", Tile.STRIDES + axis)), ("i1", "false"))
        one = f.test("eq", f.word("%t0", Tile.EXTENTS + axis), 1)
        f.require(f.either(one, f.test("sge", stride, "%size")))
    return f


CHECKS = {Head.SHAPED: shaped, Head.APART: apart, Head.SPREAD: spread}  # by the word that holds its address

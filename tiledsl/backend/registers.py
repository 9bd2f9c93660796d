"""Registers by linear scan: things that live at the same time get different ones, or a place elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

Thing = TypeVar("Thing")


@dataclass
class Lifetime:
    """From the first to the last position in the code that has to do with something; `at`: all of them."""

    start: int
    end: int
    at: list[int] = field(default_factory=list)

    def touch(self, position: int) -> None:
        """Something has to do with it here, after all places so far."""
        self.end = position
        if not self.at or self.at[-1] != position:
            self.at.append(position)


def outlast_loops(lives: Mapping[Thing, Lifetime], loops: Sequence[tuple[int, int]]) -> None:
    """What is made before a loop and used in it lives until the loop ends; loops, as (head, tail), inner ones first."""
    for head, tail in loops:
        for life in lives.values():
            if life.start < head <= life.end < tail:
                life.end = tail


def linear_scan(lives: Mapping[Thing, Lifetime], registers: Sequence[int]) -> tuple[dict[Thing, int], list[Thing]]:
    """(a register for each thing, things that found none): where there are too few, what lives longest goes without."""
    free = list(reversed(registers))
    found: dict[Thing, int] = {}
    active: list[Thing] = []
    left: list[Thing] = []
    for thing, life in sorted(lives.items(), key=lambda item: item[1].start):
        for old in [a for a in active if lives[a].end < life.start]:
            active.remove(old)
            free.append(found[old])
        active.append(thing)
        if free:
            found[thing] = free.pop()
            continue
        victim = max(active, key=lambda a: lives[a].end)
        active.remove(victim)
        left.append(victim)
        if victim is not thing:
            found[thing] = found.pop(victim)
    return found, left

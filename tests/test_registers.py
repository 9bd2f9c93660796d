"""Registers: no two things that live together share one, and nothing goes without needlessly."""

from hypothesis import given
from hypothesis import strategies as st

from tiledsl.backend.registers import Lifetime, linear_scan, outlast_loops

some = st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda x: Lifetime(x[0], x[0] + x[1]))
lives = st.lists(some).map(lambda x: dict(enumerate(x)))


def together(lives, position):
    return [thing for thing, life in lives.items() if life.start <= position <= life.end]


@given(lives, st.integers(1, 6))
def test_what_lives_together_lives_apart(lives, count):
    found, left = linear_scan(lives, range(10, 10 + count))
    assert sorted([*found, *left]) == sorted(lives)
    assert set(found.values()) <= set(range(10, 10 + count))
    for position in range(41):
        here = [found[thing] for thing in together(lives, position) if thing in found]
        assert len(here) == len(set(here))


@given(lives)
def test_none_goes_without_while_there_are_enough(lives):
    most = max((len(together(lives, position)) for position in range(41)), default=0)
    assert not linear_scan(lives, range(most))[1]


def test_what_lives_longest_goes_without():
    lives = {"long": Lifetime(0, 9), "a": Lifetime(1, 2), "b": Lifetime(3, 4)}
    assert linear_scan(lives, [7]) == ({"a": 7, "b": 7}, ["long"])


def test_a_loop_keeps_what_it_uses_from_before():
    lives = {"before": Lifetime(1, 5), "within": Lifetime(4, 5), "past": Lifetime(0, 2)}
    outlast_loops(lives, [(4, 6), (3, 8)])
    assert [life.end for life in lives.values()] == [8, 5, 2]

"""The contract pass: which sums and products become one fma, and which must stay two ops."""

from __future__ import annotations

import pytest

from tiledsl.interpreter import values
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.machine import Machine
from tiledsl.passes.contract import contract

SUM = """
kernel @sum(%a: f32, %b: f32, %c: f32, %out: *f32) {{
  %p: f32 = mul %a, %b
  {body}
  store %out, %r
}}
"""


def contracted(text: str) -> Kernel:
    return contract(parse(text), Machine("any"))


def names(text: str) -> list[str]:
    """The ops that remain when products without a use are dropped."""
    kernel = contracted(text)
    used = {value for op in kernel.body.walk() for value in op.operands}
    return [op.spec.name for op in kernel.body.walk() if not op.results or used & set(op.results)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("%r: f32 = add %p, %c", ["fma", "store"]),
        ("%r: f32 = add %c, %p", ["fma", "store"]),
        ("%r: f32 = sub %p, %c", ["neg", "fma", "store"]),
        ("%r: f32 = sub %c, %p", ["neg", "fma", "store"]),
        ("%r: f32 = add %p, %p", ["mul", "add", "store"]),
        ("%r: f32 = mul %p, %c", ["mul", "mul", "store"]),
        ("%q: f32 = add %p, %c\n  %r: f32 = add %q, %p", ["mul", "add", "add", "store"]),
        ("%q: f32 = mul %b, %c\n  %r: f32 = add %p, %q", ["mul", "fma", "store"]),
    ],
)
def test_a_product_for_one_sum_alone_is_fused(body: str, expected: list[str]) -> None:
    assert names(SUM.format(body=body)) == expected


def test_of_two_products_the_left_one_is_fused() -> None:
    kernel = contracted(SUM.format(body="%q: f32 = mul %b, %c\n  %r: f32 = add %p, %q"))
    fma = next(op for op in kernel.body.ops if op.spec.name == "fma")
    assert [v.name for v in fma.operands] == ["a", "b", "q"]


@pytest.mark.parametrize("elem", ["f16", "bf16", "i32"])
def test_only_f32_and_f64_are_fused(elem: str) -> None:
    assert "fma" not in names(SUM.format(body="%r: f32 = add %p, %c").replace("f32", elem))


def test_no_product_moves_into_a_loop() -> None:
    text = """
kernel @loop(%a: f64, %b: f64, %n: i32, %out: *f64) {
  %one: i32 = constant {value=1, type=i32}
  %p: f64 = mul %a, %b
  %r: f64 = for %one, %n, %one, %a {
  ^(%i: i32, %acc: f64):
    %next: f64 = add %acc, %p
    yield %next
  }
  store %out, %r
}
"""
    assert "fma" not in names(text)


def test_combining_blocks_are_fused_too() -> None:
    text = """
kernel @combine(%x: f32[8], %out: *f32) {
  %r: f32 = reduce %x {axis=0} {
  ^(%a: f32, %b: f32):
    %p: f32 = mul %b, %b
    %s: f32 = add %a, %p
    yield %s
  }
  store %out, %r
}
"""
    assert names(text) == ["reduce", "fma", "yield", "store"]


DOT = """
kernel @dot(%a: {elem}[4,8], %b: {elem}[8,2], %acc: {to}[4,2], %out: *{to}[4,2]) {{
  %zero: {to}[4,2] = constant {{value={zero}, type={to}[4,2]}}
  %d: {to}[4,2] = dot %a, %b, %zero
  %r: {to}[4,2] = add {sum}
  store %out, %r
}}
"""


@pytest.mark.parametrize("order", ["%acc, %d", "%d, %acc"])
@pytest.mark.parametrize(("elem", "to", "zero"), [("f32", "f32", "0.0"), ("f16", "f32", "0.0"), ("i8", "i32", "0")])
def test_what_a_dot_is_added_to_starts_its_chain(elem: str, to: str, zero: str, order: str) -> None:
    kernel = contracted(DOT.format(elem=elem, to=to, zero=zero, sum=order))
    last = kernel.body.ops[-1].operands[1].source
    assert last is not None and last.spec.name == "dot"
    assert [v.name for v in last.operands] == ["a", "b", "acc"]


def test_a_dot_that_starts_from_something_stays() -> None:
    text = DOT.format(elem="f32", to="f32", zero="1.0", sum="%acc, %d")
    assert names(text) == ["constant", "dot", "add", "store"]


def test_the_sum_is_rounded_once() -> None:
    text = """
kernel @once() {
  %x: f32 = constant {value=1.000244140625, type=f32}
  %y: f32 = constant {value=1.00048828125, type=f32}
  %p: f32 = mul %x, %x
  %r: f32 = sub %p, %y
}
"""
    before, after = parse(text), contracted(text)
    assert values(before)[before.body.ops[-1].result] == 0
    assert values(after)[after.body.ops[-1].result] == 2.0**-24

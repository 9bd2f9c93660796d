"""Kernels are built, printed, read back, verified and rebuilt; the text form keeps everything."""

from __future__ import annotations

import inspect
import pickle

import pytest
from conftest import examples
from hypothesis import given, settings

from tiledsl import ops
from tiledsl.errors import ParseError, TypeRuleError, VerifyError
from tiledsl.ir import query
from tiledsl.ir.core import Block, Builder, Kernel, Op, Value
from tiledsl.ir.parser import parse
from tiledsl.ir.rebuild import rebuild
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import DTYPES, Pointer, Tile, f32, i1, i32
from tiledsl.ir.verify import verify
from tiledsl.location import Loc
from tiledsl.testing.oracle import explain, run_case
from tiledsl.testing.programs import Case, cases


@settings(max_examples=examples(40))
@given(cases(exact=False))
def test_text_is_read_back_as_the_same_kernel(case: Case) -> None:
    text = repr(case.kernel)
    again = parse(text)
    verify(case.kernel)
    verify(again)
    assert repr(again) == text
    assert [a.divisible for a in again.body.args] == [a.divisible for a in case.kernel.body.args]


@settings(max_examples=examples(20))
@given(cases())
def test_a_kernel_read_back_or_rebuilt_computes_the_same(case: Case) -> None:
    text = repr(case.kernel)
    expected = run_case(case)
    assert not explain(case, expected, run_case(case.of(parse(text))), "built", "read back")
    assert not explain(case, expected, run_case(case.of(rebuild(case.kernel))), "built", "rebuilt")
    assert repr(case.kernel) == text


@settings(max_examples=examples(20))
@given(cases())
def test_queries_agree_with_the_kernel(case: Case) -> None:
    body = case.kernel.body
    for value, users in query.users(body).items():
        assert all(value in op.operands for op in users)
    assert query.outer_uses(body) == []
    kept = query.needed(case.kernel)
    assert all(op in kept for op in body.walk() if op.spec.effect == "write")


def test_types_are_values() -> None:
    assert Tile(f32, (4,)) == Tile(f32, (4,)) != Tile(f32, (4, 1))
    assert Pointer(f32) == Pointer(f32)
    assert str(Tile(Pointer(f32), (2, 3))) == "*f32[2,3]"
    for dtype in DTYPES.values():
        assert pickle.loads(pickle.dumps(dtype)) is dtype
    assert all(pickle.loads(pickle.dumps(spec)) is spec for spec in SPECS.values())


def test_a_typing_rule_names_the_place_it_was_broken_at() -> None:
    build = Builder(Block(), Loc("user.py", 7))
    x = build.emit(ops.constant, value=1.0, type=Tile(f32))
    n = build.emit(ops.constant, value=1, type=Tile(i32))
    with pytest.raises(TypeRuleError, match="operands differ: f32, i32") as error:
        build.emit(ops.add, x, n)
    assert error.value.loc == Loc("user.py", 7)


def test_values_of_one_name_are_told_apart_when_printed() -> None:
    build = Builder(Block())
    for _ in range(2):
        build.emit(ops.constant, value=1, type=Tile(i32)).name = "x"
    text = repr(Kernel("k", build.block))
    assert "%x: i32" in text and "%x_1: i32" in text
    assert repr(parse(text)) == text


def test_a_value_of_another_kernel_is_not_defined() -> None:
    stranger = Builder(Block()).emit(ops.constant, value=1, type=Tile(i32))
    build = Builder(Block())
    build.emit(ops.neg, stranger)
    with pytest.raises(VerifyError, match="before it is defined"):
        verify(Kernel("k", build.block))


def test_a_result_must_name_its_op() -> None:
    made = Op(ops.constant, [], {"value": 1, "type": Tile(i32)}, [Value(Tile(i32))])
    with pytest.raises(VerifyError, match="names another source"):
        verify(Kernel("k", Block([], [made])))


def test_a_rule_is_read_as_its_signature_says() -> None:
    for spec in SPECS.values():
        parameters = inspect.signature(spec.infer, eval_str=True).parameters.values()
        attrs = {p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "blocks"}
        assert spec.attrs == attrs
        if spec.definition is None:
            operands = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
            assert spec.operands == tuple(p.name for p in operands)
            assert spec.variadic == any(p.kind is p.VAR_POSITIONAL for p in operands)
            assert spec.required == sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in operands)
        else:
            assert spec.operands == tuple(inspect.signature(spec.definition).parameters) and len(spec.operands) == spec.required


def test_an_attribute_of_another_type_is_refused() -> None:
    build = Builder(Block())
    with pytest.raises(TypeRuleError, match="attribute axis must be int, got True"):
        build.emit(ops.program_id, axis=True)
    with pytest.raises(TypeRuleError, match="takes a float, got 1"):
        build.emit(ops.constant, value=1, type=Tile(f32))
    with pytest.raises(TypeRuleError, match="2 does not fit i1"):
        build.emit(ops.constant, value=2, type=Tile(i1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kernel",
        "kernel @f(",
        "kernel @f() {",
        "kernel @f() {\n}}",
        "kernel @f() { yield %x }",
        "kernel @f(%x) {\n}",
        "kernel @f(%x: f32[a]) {\n}",
    ],
)
def test_broken_text_is_an_error_with_a_place(text: str) -> None:
    with pytest.raises(ParseError) as error:
        parse(text, "broken.tile")
    assert error.value.loc is not None and error.value.loc.file == "broken.tile"


@settings(max_examples=examples(30))
@given(cases())
def test_text_that_ends_early_never_crashes_the_parser(case: Case) -> None:
    text = repr(case.kernel)
    for at in range(0, len(text) - 2, max(len(text) // 15, 1)):
        with pytest.raises(ParseError):
            parse(text[:at])

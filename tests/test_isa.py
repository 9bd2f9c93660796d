"""Instruction words: what is encoded is decoded, what is shown is read back, and nonsense is refused."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledsl.backend.isa import Field, Illegal, InstructionSet, pack, unpack
from tiledsl.backends.npu.isa.instructions import T1


def codes(field: Field) -> st.SearchStrategy[int]:
    """Values that a field can hold."""
    if field.signed:
        return st.integers(-(1 << (field.bits - 1)), (1 << (field.bits - 1)) - 1)
    some = st.integers(0, (field.count or len(field.names) or 1 << field.bits) - 1)
    return some if field.none is None else some | st.just(field.none)


@st.composite
def words(draw: st.DrawFn) -> int:
    """A legal word of T1."""
    chosen = draw(st.sampled_from(list(T1.by_name.values())))
    operands = [draw(codes(field)) for _, field in chosen.fields]
    common = {name: draw(codes(field)) for name, (field, _) in T1.common.items()}
    return T1.encode(chosen.name, *operands, **common)


@given(st.lists(words()))
def test_assembler_inverts_disassembler(program):
    assert T1.assemble(T1.disassemble(program)) == program


@given(words())
def test_encoder_inverts_decoder(word):
    assert T1.word(T1.decode(word)) == word


@given(words(), st.integers(0, 127))
def test_a_flipped_bit_gives_another_instruction_or_none(word, bit):
    flipped = word ^ 1 << bit
    try:
        decoded = T1.decode(flipped)
    except Illegal:
        return
    assert T1.word(decoded) == flipped


@given(st.integers(0, (1 << 128) - 1))
def test_random_words_decode_or_are_illegal(word):
    try:
        assert T1.word(T1.decode(word)) == word
    except Illegal:
        pass


@given(st.lists(words()))
def test_words_survive_their_bytes(program):
    assert unpack(pack(program, 128), 128) == program


def test_an_operand_that_does_not_fit_is_refused():
    with pytest.raises(Illegal, match="does not fit"):
        T1.encode("movi", 0, 1 << 31)
    with pytest.raises(Illegal, match="does not fit"):
        T1.encode("mov", 32, 0)


def test_labels_stand_for_instruction_numbers():
    text = """
      start:  ; here
        movi r1, #-1
        jumpnz r1, start
        jump end
      end:
        halt
    """
    assert T1.disassemble(T1.assemble(text)) == "movi r1, #-1\njumpnz r1, #0\njump #3\nhalt"


def test_waits_and_posts_are_written_after_the_operands():
    (word,) = T1.assemble("vec2 add, t1, t2, t3 wait0=s4 post=s5")
    decoded = T1.decode(word)
    assert (decoded["to"], decoded["wait0"], decoded["wait1"], decoded["post"]) == (1, 4, 63, 5)


def test_text_that_is_no_instruction_is_refused():
    for line in ("fly r1", "mov r1", "mov r1, t2", "mov r1, r99", "vec2 frob, t1, t2, t3", "mov r1, r2 wing=s3"):
        with pytest.raises(Illegal):
            T1.assemble(line)


def test_every_instruction_says_what_it_does():
    assert all(one.doc.endswith(".") for one in T1.by_name.values())
    assert all(name in T1.manual() for name in T1.by_name)


def test_an_instruction_set_is_a_few_declarations():
    toy = InstructionSet("toy", bits=16)
    Register = Annotated[int, Field("r", 4)]

    @toy.instruction(0x01)
    def add(registers: list[int], to: Register, a: Register) -> None:
        """to = to + a."""
        registers[to] += registers[a]

    (word,) = toy.assemble("add r1, r2")
    registers = [0, 3, 4]
    decoded = toy.decode(word)
    decoded.instruction.execute(registers, *decoded.operands)
    assert registers == [0, 7, 4] and word == 0x2101

"""Native code as images: what an object file becomes, where it may run, and that LLVM's own loader gives the same bits."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import numpy as np
import pytest

import tiledsl
from tiledsl.backend.base import Buffer, Options, Program
from tiledsl.backends.cpu import HEADER, Backend
from tiledsl.backends.cpu.engine import Linked, object_file
from tiledsl.backends.cpu.host import host
from tiledsl.backends.cpu.native import elf, load
from tiledsl.backends.cpu.native.elf import Unsuitable, flatten
from tiledsl.backends.cpu.native.image import Image, decode
from tiledsl.backends.cpu.native.load import Mapped, Unloadable, address_of
from tiledsl.ir.parser import parse
from tiledsl.ir.types import f32

IS_SUITABLE = sys.platform == "linux" and platform.machine() == "x86_64"
pytestmark = pytest.mark.skipif(not IS_SUITABLE, reason="images are made for ELF and x86-64")

SQUARES = """kernel @squares(%y: *f32) {
  %r: i32[64] = arange {start=0, stop=64}
  %x: f32[64] = cast %r {to=f32}
  %s: f32[64] = mul %x, %x
  %p: *f32[64] = offset %y, %r
  store %p, %s
}
"""


def squares(backend: Backend, program: Program) -> np.ndarray:
    out = np.zeros(64, np.float32)
    backend.launch(program, (1, 1, 1), [Buffer(out.ctypes.data, out.nbytes, f32, True, out, "y")], Options())
    return out


def call(image: Image, name: str, *arguments: int) -> int:
    mapped = Mapped(image)
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(arguments))(mapped.address(name))(*arguments)


def image_of(text: str) -> Image:
    return flatten(object_file(text, host()))


# --- images


def test_functions_call_each_other_and_read_constants() -> None:
    image = image_of("""
        @table = private constant [4 x i64] [i64 3, i64 5, i64 7, i64 11]
        define internal i64 @at(i64 %i) noinline {
            %p = getelementptr i64, ptr @table, i64 %i
            %v = load i64, ptr %p
            ret i64 %v
        }
        define i64 @sum(i64 %i, i64 %j) {
            %a = call i64 @at(i64 %i)
            %b = call i64 @at(i64 %j)
            %c = add i64 %a, %b
            ret i64 %c
        }""")
    assert list(image.entries) == ["sum"]
    assert not image.imports
    assert [call(decode(image.encode()), "sum", i, 3) for i in range(4)] == [14, 16, 18, 22]


def test_outside_functions_and_variables_are_bound_when_loaded() -> None:
    image = image_of("""
        @PyLong_Type = external global i8
        declare i64 @labs(i64)
        declare i64 @llabs(i64)
        define i64 @both(i64 %x, i64 %y) {
            %a = call i64 @labs(i64 %x)
            %b = call i64 @llabs(i64 %y)
            %c = mul i64 %a, %b
            ret i64 %c
        }
        define i64 @type() {
            %p = ptrtoint ptr @PyLong_Type to i64
            ret i64 %p
        }""")
    assert set(image.imports) == {"labs", "llabs", "PyLong_Type"}
    assert call(image, "both", -6, -7) == 42
    assert call(image, "type") == id(int)


def test_code_is_never_writable_and_executable() -> None:
    mapped = Mapped(image_of("define i64 @one() { ret i64 1 }"))
    at = mapped.address("one")
    with open("/proc/self/maps") as file:
        for line in file:
            first, last = (int(x, 16) for x in line.split()[0].split("-"))
            if first <= at < last:
                assert line.split()[1] == "r-xp"
                return
    pytest.fail("it is not in memory")


@pytest.mark.parametrize(
    "text",
    [
        "@x = global i64 1\ndefine i64 @get() {\n %v = load i64, ptr @x\n ret i64 %v\n}",
        "@x = thread_local global i64 1\ndefine ptr @get() {\n ret ptr @x\n}",
        "@x = constant ptr @get\ndefine ptr @get() {\n %v = load ptr, ptr @x\n ret ptr %v\n}",
    ],
    ids=["variable", "thread-local", "absolute address"],
)
def test_what_needs_a_real_loader_is_no_image(text: str) -> None:
    with pytest.raises(Unsuitable):
        image_of(text)


def test_other_files_are_no_images() -> None:
    whole = object_file("define i64 @one() { ret i64 1 }", host())
    for data in (b"\xcf\xfa\xed\xfe" + bytes(64), whole[:18] + b"\xb7" + whole[19:]):  # Mach-O; AArch64
        with pytest.raises(Unsuitable):
            flatten(data)


def test_a_name_that_is_nowhere_is_said_before_anything_runs() -> None:
    with pytest.raises(Unloadable, match="no_such_function"):
        address_of("no_such_function")


# --- kernels


def test_kernels_are_images_and_llvms_loader_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    program = backend.compile(parse(SQUARES), Options())
    assert not decode(program.binary[HEADER.size :]).is_object
    by_image = squares(backend, program)
    assert isinstance(backend.loaded[program.binary].code, Mapped)

    forbidding = Backend()
    monkeypatch.setattr(load, "EXECUTE", 64)  # no such protection: the system refuses
    by_loader = squares(forbidding, program)
    assert isinstance(forbidding.loaded[program.binary].code, Linked)

    monkeypatch.setattr(elf, "X86_64", 0)
    elsewhere = Backend()
    program = elsewhere.compile(parse(SQUARES), Options())
    assert decode(program.binary[HEADER.size :]).is_object
    by_object = squares(elsewhere, program)
    assert by_image.tobytes() == by_loader.tobytes() == by_object.tobytes() == (np.arange(64, dtype=np.float32) ** 2).tobytes()


MODULE = """
import tiledsl, tiledsl.language as tl

@tiledsl.jit
def fill(out, x):
    tl.store(out + tl.arange(0, 64), tl.zeros([64], tl.float32) + x)
"""
WARM = """
import sys
import numpy as np
import tiledsl, module
out = np.zeros(64, np.float32)
before = {name for name in sys.modules if name.startswith("tiledsl.")}
module.fill[(1,)](out, 2.0)
assert (out == 2).all()
print(len({name for name in sys.modules if name.startswith("tiledsl.")} - before) > 0, end=" ")
print("llvmlite" in sys.modules, *(name in sys.modules for name in ("tiledsl.backends.cpu.engine", "tiledsl.backends.cpu.lower")))
"""


def test_a_kernel_from_the_cache_needs_no_compiler(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{tiledsl.__path__[-1]}:{tiledsl.__path__[0]}/..")
    said = [subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert said == ["True True True True", "False False False False"]  # the second time not even a module is read


def test_import_loads_no_backend_but_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tiledsl.__path__[-1]}:{tiledsl.__path__[0]}/..")
    look = "import sys, tiledsl; print(*(n for n in ('cpu', 'npu', 'interpreter') if f'tiledsl.backends.{n}' in sys.modules))"
    for chosen, loaded in (("", "cpu"), ("npu", ""), ("no such backend", "")):
        monkeypatch.setenv("TILEDSL_BACKEND", chosen)
        assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.strip() == loaded

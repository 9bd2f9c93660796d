"""LLVM: text to native code, and native code to functions of this process. What it is needed for, and only that, imports it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from tiledsl.forks import lock as _lock  # LLVM's context is not for several threads

from .machine import HostMachine
from .native.image import Image
from .native.load import Mapped, Unloadable, address_of

ENTRY = "run"  # what lower.py writes, and how it is called
KNOWN = range(20, 23)  # LLVMs whose options we know
AGAIN = 1 << 62  # beside the number of the first program: the arena holds what an earlier range of the launch left there
PARAMETERS = 3  # the slot of the first one, after the extents of the grid
RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


@cache
def llvm() -> Any:
    """llvmlite's binding, imported by the first kernel that is compiled: it takes longer than compiling one."""
    with _lock:
        import llvmlite.binding as binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        return binding


@cache
def _target_machine(cpu: str, features: str) -> Any:
    return llvm().Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="small")


def object_file(text: str, machine: HostMachine, optimised: bool = False) -> bytes:
    """An object file. No mid-level passes for kernels: their text is already what they would make of it."""
    binding = llvm()
    with _lock:
        target = _target_machine(machine.cpu, machine.features)
        module = binding.parse_assembly(text)
        module.triple, module.data_layout = binding.get_process_triple(), str(target.target_data)
        if optimised:
            builder = binding.create_pass_builder(target, binding.create_pipeline_tuning_options(speed_level=2))
            builder.getModulePassManager().run(module, builder)
        with _addresses_as_written():
            binary = target.emit_object(module)
        module.close()  # here, not when the variable goes: that is LLVM's work, too
        return binary


@contextmanager
def _addresses_as_written() -> Iterator[None]:
    """Without the pass that looks for better induction variables: a quarter of the time, and it finds none in our loops.

    The option is one of the whole process, and LLVM ends the process where it does not know one. So it is set for as long as it
    takes; a function that numba compiles at this very moment keeps its own induction variables, too."""
    known = llvm().llvm_version_info[0] in KNOWN
    if known:
        llvm().set_option("tiledsl", "-disable-lsr=1")
    try:
        yield
    finally:
        if known:
            llvm().set_option("tiledsl", "-disable-lsr=0")


def compiled(text: str, machine: HostMachine, optimised: bool = False) -> Image:
    """Native code that can be kept."""
    from .native.elf import Unsuitable, flatten  # only for what is not in the cache

    binary = object_file(text, machine, optimised)
    try:
        return flatten(binary)
    except Unsuitable:
        return Image(binary, is_object=True)


def assembly(text: str, machine: HostMachine) -> str:
    """What the object file says, for people."""
    with _lock, _addresses_as_written():
        return _target_machine(machine.cpu, machine.features).emit_assembly(llvm().parse_assembly(text))


class Linked:
    """An object file in this process by LLVM's own loader; its code lives as long as this object."""

    def __init__(self, binary: bytes, outside: Sequence[str] = ()):
        binding = llvm()
        with _lock:
            for name in outside:  # LLVM ends the process where it does not find one
                binding.add_symbol(name, address_of(name))
            target = binding.Target.from_default_triple().create_target_machine()
            self.engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target)
            self.engine.add_object_file(binding.object_file.ObjectFileRef.from_data(binary))
            self.engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function is."""
        return self.engine.get_function_address(name)


def loaded(image: Image, again: Callable[[], bytes], outside: Sequence[str] = ()) -> Mapped | Linked:
    """Code in this process: an image as it is; else an object file, compiled `again` where the platform refuses the image,
    which needs to be told what is `outside` of it."""
    if image.is_object:
        return Linked(image.code, outside)
    try:
        return Mapped(image)
    except Unloadable:
        return Linked(again(), outside)

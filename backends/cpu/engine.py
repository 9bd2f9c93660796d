"""LLVM: text to native code, and native code to functions of this process. What it is needed for, and only that, imports it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from tiledsl.forks import lock as _lock  # LLVM's context is not for several threads

from .machine import HostMachine
from .native.image import Image
from .native.load import address_of

KNOWN = range(20, 23)  # LLVMs whose options we know


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


@cache
def _where() -> str:
    """The first lines of a module: what it is for. Read with the rest, they take less than told to LLVM one by one."""
    layout = llvm().Target.from_default_triple().create_target_machine().target_data
    return f'target datalayout = "{layout}"\ntarget triple = "{llvm().get_process_triple()}"\n'


def object_file(text: str, machine: HostMachine, optimised: bool = False) -> bytes:
    """An object file. No mid-level passes for kernels: their text is already what they would make of it."""
    binding = llvm()
    with _lock:
        target = _target_machine(machine.cpu, machine.features)
        module = binding.parse_assembly(_where() + text)
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

"""LLVM: text to an object file, an object file to a function in this process."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from threading import Lock
from typing import Any

from .lower import ENTRY
from .machine import HostMachine

RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_lock = Lock()  # LLVM's context is not for several threads


def _unlock() -> None:
    """In a child process: the thread that held the lock is not there."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


@cache
def native_target() -> Any:
    """LLVM's target of this machine; importing llvmlite waits until somebody compiles or loads."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


@cache
def _target_machine(cpu: str, features: str) -> Any:
    return native_target().create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="small")


def compiled(text: str, machine: HostMachine) -> bytes:
    """An object file. No mid-level passes: the text is already what they would make of it."""
    import llvmlite.binding as llvm

    with _lock:
        target = _target_machine(machine.cpu, machine.features)
        module = llvm.parse_assembly(text)
        module.triple, module.data_layout = llvm.get_process_triple(), str(target.target_data)
        return target.emit_object(module)


def assembly(text: str, machine: HostMachine) -> str:
    """What the object file says, for people."""
    import llvmlite.binding as llvm

    with _lock:
        return _target_machine(machine.cpu, machine.features).emit_assembly(llvm.parse_assembly(text))


class Loaded:
    """Native code of one program, alive as long as this object."""

    def __init__(self, binary: bytes):
        import llvmlite.binding as llvm

        with _lock:
            self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), native_target().create_target_machine())
            self.engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(binary))
            self.engine.finalize_object()
            self.address = self.engine.get_function_address(ENTRY)
        self.run = RUN(self.address)

"""The manual of T1, written from the declarations: `README.md` beside this file holds what `manual()` returns."""

from __future__ import annotations

from tiledsl.backend.isa import Field, InstructionSet

from ..machine import PRESETS, T1_BASE, Npu
from ..machine.model import DECLARED, KEYS, Key
from ..machine.spec import plainly
from .encoding import instruction_set

HEAD = """# The T1 accelerator

A modelled tile accelerator: a kernel becomes {bits}-bit instruction words, and only decoded words run, on a simulator of one
core's registers, scratchpad, accumulators and DMA. Its results have the interpreter's bits. It reports cycles of the
modelled machine, counted in one pass by a reader of the executed instructions that cannot change a value.

The way of a kernel, a file per stage: `lower` (with `arithmetic`, `arrange`, `contract`, `control`, `transfer`: virtual registers
and buffers; `together` makes one run of many programs, `ahead` loops that load one iteration ahead) - `parts` (the last store) -
`expand` (with `groups`, `folds`, `products`: instructions that the machine has, tiles that do not fit piece by piece) - `reorder`
(list scheduling by `estimate`, the machine's costs) - `allocate` (registers, scratchpad) - `schedule` (descriptors, queues) -
`tokens` (waits and posts) - `container` (words) - `check` (is every conflicting pair of accesses ordered, on every way through the
words?). The stage `report` of `kernel.show` tells what took a slow way, and why: gathers, tiles in DRAM, products without a matrix
unit. `python -m tiledsl doctor MACHINE` does so for all ops and ready kernels, and finds what would mend it.

Time is a separate pass (`timing`): each instruction becomes a task with its cost (`costs`, `demand`), programs that did the same
share their tasks, and an event loop runs all cores' queues on one memory (`events`). `kernel.profile(..., grid=...)` gives what
explains the cycles: every queue's reasons to wait, the roofline, energy where the machine's file tells it, the critical path
(`path`) and the lines of the source; `.trace("x.json.gz")` is for [Perfetto](https://ui.perfetto.dev), `.html("x.html")` a page with
a timeline. `python -m tiledsl sim SCRIPT` profiles every launch of a script, `trace` writes the files, `roofline` a table.

Two simulators run the words. `simulator/run` is the reference, made to be read: it calls the meaning of each instruction
(`isa/instructions`) on what a core holds (`isa/state`). `simulator/fast` is what launches use: a native loop calls a native
function per instruction and types (`simulator/native`), and leaves to the reference what it does not know or finds wrong. Both
write the executed trace (`simulator/trace`), from which `timing` counts. `TILEDSL_NPU_CHECK=1` runs programs under checks
(`simulator/checked`): races, tokens that do not pair up, reads of bytes that nothing has written. `TILEDSL_NPU_ORDER=7` also lets
the queues run in another order, which the seed 7 chooses (`simulator/shuffle`); a program without a race leaves the same values.

## The machine

- One scalar unit S fetches the program, computes addresses, sets descriptors, and issues every other instruction, with the
  registers and descriptors it names as they are, into the queue of its unit: load channels L, store channels W, the
  matrix unit M, the vector unit V, the cross-lane unit X.
- A queue is in order. Between queues only tokens order: `wait0` and `wait1` name semaphores that the instruction waits
  for before it starts, `post` one that it posts when it is done; the k-th wait of a semaphore takes the k-th post.
  `barrier` waits for all.
- Scalars `r0`-`r31` have 64 bits; r0 is 0. Signed integers are sign extended, unsigned ones and floats zero extended.
- A tile descriptor `t0`-`t63` names elements in the scratchpad or the accumulators: type, first byte, and up to four
  dimensions of extent and stride. Stride 0 repeats: to broadcast, transpose, slice or reshape is to describe.
- A box `g0`-`g31` names elements in DRAM the same way, with a valid range per dimension and a fill for the rest. Addresses
  are 64-bit byte addresses; every access is checked against the buffers of the launch.
- Programs of a grid run to their end in the order of their ids, x fastest.

Departures from the first sketch of T1: descriptors have four dimensions instead of two, so that tiles of any rank need no
loops; the scalar unit computes on every element type, so that scalars need no vector instructions; jumps name the
instruction they go to; `vaddr` and `addr` scale and add addresses. Banks of the scratchpad hold up the instruction whose lanes
want several words of one; instructions of different units do not wait for each other there.
"""


def manual(machine: Npu = T1_BASE) -> str:
    """The whole manual of a machine, in Markdown."""
    m, isa = machine, instruction_set(machine)
    head = HEAD.replace("{bits}", str(isa.bits), 1)
    low, high = isa.opcode.position, isa.opcode.position + isa.opcode.bits - 1
    idle = "register fields that are not used are ones; " if isa.idle else ""
    sizes = (
        f"`{m.name}`: {m.cores} cores at {m.clock_mhz} MHz; per core {m.spm_bytes >> 10} KiB scratchpad, {m.acc_bytes >> 10} KiB "
        f"accumulators, a {m.matrix_rows} x {m.matrix_columns} matrix unit, {m.lanes} vector lanes, {m.load_channels} load and "
        f"{m.store_channels} store channels; {m.dram_bytes_per_cycle:g} bytes of DRAM per cycle for all cores together."
    )
    return "\n".join(
        [
            head if m == T1_BASE else head.replace("# The T1 accelerator", f"# {m.name}, a T1 accelerator", 1),
            sizes,
            "",
            "## Machines",
            "",
            '`backend="npu:edge"` names another machine, `backend="npu:my.npu.toml"` one of your own: a file with a section for each',
            "part; what it leaves out is as in `t1-base`. Any section may have a `source`, which says where its numbers come from.",
            "`[matrix.rate]` says how many multiply-adds a cell starts in a cycle, for each element type; those it does not name are",
            "for the vector unit. `[encoding]` is a word layout of your own, `npu.hooks` adds instructions: see",
            f"[your accelerator in a day](../../tiledsl/docs/your_accelerator.md). Presets: {', '.join(f'`{name}`' for name in PRESETS)}.",
            "",
            f"| key | in {m.name} | range | what it is |",
            "| --- | ---: | --- | --- |",
            *(f"| `{k.name}` | {_plain(getattr(m, KEYS[k.name]))} | {_range(k)} | {k.meaning} |" for k in DECLARED.values()),
            "",
            "## The word",
            "",
            f"Words of {isa.bits} bits: an opcode in bits {low}-{high}, the fields of the instruction, and these, which every instruction",
            f"has. Bits that no field uses are 0; {idle}any other word is ILLEGAL.",
            "",
            isa.fields_manual(),
            "Text: one instruction a line, `name operand, operand field=value`. `-` is an absent operand.",
            "",
            "## Instructions",
            "",
            isa.manual(),
            "## Fields of the instructions",
            "",
            "| instruction | fields and their bits |",
            "| --- | --- |",
            *(f"| `{one.name}` | {', '.join(_bits(label, where) for label, where in one.fields)} |" for one in isa.by_opcode.values()),
            "",
            "## Operations",
            "",
            *_tables(isa),
        ]
    )


def _plain(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _range(key: Key) -> str:
    if key.kind in (str, bool):
        return " or ".join(key.choices or (("true", "false") if key.kind is bool else ()))
    return f"{plainly(key.least)} to {plainly(key.most)}{', powers of two' if key.power else ''}"


def _bits(label: str, where: Field) -> str:
    return f"{label} {where.position}-{where.position + where.bits - 1}"


def _tables(isa: InstructionSet) -> list[str]:
    """What the numbers in a field that is written in words stand for."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for one in isa.by_opcode.values():
        for label, where in one.fields:
            if where.names:
                lines.setdefault(where.names, []).append(f"{one.name}.{label}")
    return [f"- {', '.join(users)}: {', '.join(f'{i} {name}' for i, name in enumerate(names))}" for names, users in lines.items()] + [""]


if __name__ == "__main__":
    print(manual(), end="")

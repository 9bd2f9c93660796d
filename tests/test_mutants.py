"""Kernels of this house, spoilt at random: each ends in a diagnostic or a result. `python -m tiledsl mutants` makes many more."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from random import Random

import pytest

from tiledsl.errors import WaitError
from tiledsl.testing.mutants import reduce, runner, trial
from tiledsl.testing.mutants.declare import MUTATIONS
from tiledsl.testing.mutants.pool import Pool
from tiledsl.testing.mutants.sources import Unit, units

ROOT = Path(__file__).resolve().parent.parent
EACH = 5
KERNELS = sorted(units([ROOT / "kernels", ROOT / "examples", ROOT / "tests" / "test_frontend.py"]), key=str)
SCALE = """
import tiledsl
import tiledsl.language as tl

@tiledsl.jit
def scale(out, x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y = tl.load(x + at, mask=(at < n) & (n > -1)) + tl.zeros((1, BLOCK), tl.float32)
    if n > 3 and BLOCK > 2:
        y = -y * 2.0
    tl.store(out + at[None, :], y, mask=at[None, :] < n)
"""


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "RUNNING", 0.2)


@pytest.fixture
def scale(tmp_path: Path) -> Unit:
    (tmp_path / "scale.py").write_text(SCALE)
    (found,) = units([tmp_path])
    return found


@pytest.mark.parametrize("unit", KERNELS, ids=lambda u: f"{Path(u.file).stem}-{u.kernel}")
def test_a_spoilt_kernel_ends_in_a_diagnostic_or_a_result(unit: Unit) -> None:
    arguments, _ = trial.prepare(unit, Random(unit.kernel), tries=20)
    for seed in range(1, 1 + EACH):
        outcome = trial.attempt(trial.make(unit, seed, arguments))
        assert not outcome.is_fault, f"{unit} seed {seed}: {outcome.detail}\n{outcome.report}"


def test_arguments_are_found_and_the_kernel_runs_as_it_is(scale: Unit) -> None:
    arguments, (steps, _) = trial.prepare(scale, Random(0))
    assert steps == 3 and repr(arguments["x"]) == "*f32" and arguments["BLOCK"] == 16
    assert trial.attempt(trial.make(scale, 0, arguments)).kind == "ran"


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_changes_a_kernel(name: str, scale: Unit) -> None:
    changed = ""
    for seed in range(40):
        (function,) = ast.parse(ast.unparse(scale.function)).body
        assert isinstance(function, ast.FunctionDef)
        if MUTATIONS[name](Random(seed), function, Pool.of([scale.function])):
            changed = ast.unparse(ast.fix_missing_locations(function))
        if changed != ast.unparse(scale.function) and changed:
            return
    raise AssertionError(f"{name} changes nothing")


def test_faults_are_seen(scale: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, _ = trial.prepare(scale, Random(0))

    def broken(*args: object) -> None:
        raise KeyError("a mistake in the compiler")

    monkeypatch.setattr(trial, "lower_function", broken)
    assert "KeyError" in trial.attempt(trial.make(scale, 0, arguments)).detail


def test_a_crash_costs_one_worker_and_is_told(scale: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(mutant: trial.Mutant, backends: object) -> trial.Outcome:
        return exit_at_three(mutant)

    monkeypatch.setattr(trial, "attempt", crash)
    tally = runner.run([scale], [runner.Task(0, 1, 5)], 1, ["cpu"], 60.0, verbose=False)
    assert tally.mutants == 5 and sum(tally.faults.values()) == 1 and next(iter(tally.faults)).startswith("crash: exit code 7")


def exit_at_three(mutant: trial.Mutant) -> trial.Outcome:
    if mutant.seed == 3:
        os._exit(7)
    return trial.Outcome("ran")


def test_a_hang_in_native_code_is_told(scale: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(mutant: trial.Mutant, backends: object) -> trial.Outcome:
        while mutant.seed == 2:
            pass
        return trial.Outcome("ran")

    monkeypatch.setattr(trial, "attempt", hang)
    monkeypatch.setattr(runner, "PATIENCE", 0.3)
    tally = runner.run([scale], [runner.Task(0, 1, 3)], 1, ["cpu"], 60.0, verbose=False)
    assert tally.mutants == 3 and [detail.partition(":")[0] for detail in tally.faults] == ["hang in native code"]


def test_a_fault_is_shown_by_the_smallest_part_that_has_it(scale: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(mutant: trial.Mutant, backends: object) -> trial.Outcome:
        return trial.Outcome("fault", "wrong: here") if "-y * 2.0" in mutant.text else trial.Outcome("ran")

    monkeypatch.setattr(trial, "attempt", faulty)
    mutant = trial.make(scale, 0, {})
    smaller = reduce.smallest(mutant, faulty(mutant, ()), ["cpu"])
    assert [line.strip() for line in smaller.splitlines()[2:]] == ["y = -y * 2.0"]


def test_as_many_mutants_are_made_as_were_asked_for(scale: Unit) -> None:
    for count in (1, 20, 40, 100, 333):
        assert sum(task.count for task in runner.tasks_of([scale] * 3, count, seed=1)) == count


def test_a_wait_that_nothing_ends_is_a_diagnostic(scale: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, _ = trial.prepare(scale, Random(0))

    def waits(*args: object) -> None:
        raise WaitError("program (0, 0, 0) waits, and nothing changes that")

    monkeypatch.setattr(trial, "interpret", waits)
    assert trial.attempt(trial.make(scale, 0, arguments)).kind == "compiled"

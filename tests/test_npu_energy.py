"""Energy and area: what a launch did, counted, times what the machine's file says that it costs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.backend import registry
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.machine import PRESETS, T1_BASE, Npu, find
from tiledsl.backends.npu.machine.spec import parse
from tiledsl.backends.npu.simulator.checked import Checks
from tiledsl.backends.npu.timing.energy import area
from tiledsl.errors import LaunchError

ONE = T1_BASE.but(mac_pj={"f32": 1.0}, lane_pj=0.0, spm_pj=0.0, dram_pj=0.0, issue_pj=0.0, name="one")


@tiledsl.jit
def product(a, b, out, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    m, n, k = tl.arange(0, M)[:, None], tl.arange(0, N), tl.arange(0, K)
    x, y = tl.load(a + m * K + k[None, :]), tl.load(b + k[:, None] * N + n[None, :])
    tl.store(out + m * N + n[None, :], tl.dot(x, y, input_precision="ieee"))


@tiledsl.jit
def raised(x, out, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(out + at, tl.load(x + at) + 1)


def energy(machine: Npu, checks: Checks | None = None) -> dict[str, float]:
    """Of three programs that add one to 64 numbers each, in picojoules."""
    x = np.zeros(192, np.float64)
    with registry.standing_in(Backend(machine, checks=checks, name="measured")):
        report = raised[(3,)](x, x.copy(), N=64, backend="measured").report
    return {name: round(value * 1e12, 3) for name, value in report.details["energy"].items()}


def test_every_product_is_counted_once() -> None:
    a, b, out = np.ones((16, 64), np.float32), np.ones((64, 32), np.float32), np.empty((16, 32), np.float32)
    with registry.standing_in(Backend(ONE, name="measured")):
        report = product[(1,)](a, b, out, M=16, N=32, K=64, backend="measured").report
    assert math.isclose(report.details["energy"]["matrix"], 16 * 64 * 32 * 1e-12)


@pytest.mark.parametrize("checks", [None, Checks()], ids=["fast", "checked"])
def test_elements_and_bytes_are_those_of_the_programs(checks: Checks | None) -> None:
    ones = ONE.but(lane_pj=1.0, spm_pj=1.0, dram_pj=1.0)
    found = energy(ones, checks)
    assert found["dram"] == 3 * 64 * 8 * 2
    assert found["vector"] == 3 * 2 * (64 + 1)  # eight bytes count twice; the 1 is filled in once
    assert found["scratchpad"] == 3 * 8 * (1 + 64 + 64 + 1 + 64 + 64)  # fill, load, add: two read, one written, store
    assert energy(ones.but(idle_mw=2.0))["idle"] > 0 == found["idle"]


def test_area_follows_from_sizes() -> None:
    base = area(T1_BASE)
    assert math.isclose(base["matrix"], 4 * 1024 * 3000e-6)  # f16 at full rate weighs more than a quarter of f32
    assert area(T1_BASE.but(spm_bytes=2 * T1_BASE.spm_bytes))["scratchpad"] > 1.5 * base["scratchpad"]
    assert area(find("vector-only"))["matrix"] == 0
    assert all(sum(area(find(name)).values()) > 0 for name in PRESETS)


def test_costs_are_keys_of_the_file() -> None:
    assert parse("[energy]\ndram_pj_per_byte = 160\n[energy.mac_pj]\ni8 = 0.1\n", "mine").mac_pj == {"i8": 0.1}
    with pytest.raises(LaunchError, match=r"energy.mac_pj.i8 is -1"):
        parse("[energy.mac_pj]\ni8 = -1\n", str(Path("mine")))

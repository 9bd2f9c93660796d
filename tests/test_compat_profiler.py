"""`triton.profiler`, and what kernels ask of the GPU that they are not on."""

import json

import numpy as np
import pytest

from tiledsl.compat import triton
from tiledsl.compat.triton import knobs
from tiledsl.compat.triton import language as tl
from tiledsl.compat.triton import profiler as proton
from tiledsl.compat.triton.language.extra import cuda


def told(grid, kernel, args):
    return {"name": "doubled", "flops": 64, "note": "no figure"}


@triton.jit(launch_metadata=told)
def double(x):
    at = tl.arange(0, 64)
    tl.store(x + at, tl.load(x + at) * 2)


@triton.jit
def asked(out):
    cuda.gdc_wait()
    tl.store(out, cuda.smid() + cuda.num_warps() + cuda.num_threads())
    tl.store(out + 1, cuda.globaltimer().to(tl.int32))
    cuda.gdc_launch_dependents()


def test_scopes_and_launches_are_a_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.ones(64, np.float32)
    double[(1,)](x)
    session = proton.start("run", hook="triton")
    for _ in range(3):
        with proton.scope("forward", metrics={"bytes": 10}):
            double[(1,)](x)
            double[(1,)](x)
    proton.deactivate(session)
    double[(1,)](x)
    proton.activate(session)
    double[(1,)](x)
    proton.finalize()
    assert (x == 2.0**9).all()
    [root] = json.loads((tmp_path / "run.hatchet").read_text())
    forward, outside = root["children"]
    [kernel] = forward["children"]
    assert [n["frame"]["name"] for n in (root, forward, kernel, outside)] == ["ROOT", "forward", "doubled", "doubled"]
    assert (forward["metrics"]["count"], forward["metrics"]["bytes"]) == (3, 30)
    assert (kernel["metrics"]["count"], kernel["metrics"]["flops"], outside["metrics"]["count"]) == (6, 384, 1)
    assert "note" not in kernel["metrics"]
    assert 0 < kernel["metrics"]["time (ns)"] <= forward["metrics"]["time (ns)"]
    assert not knobs.runtime.launch_enter_hook.calls and not knobs.runtime.launch_exit_hook.calls


def test_a_function_has_a_session_for_each_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @proton.profile(name="calls")
    def calls():
        with proton.scope("inner"):
            raise KeyError("told")

    with pytest.raises(KeyError):
        calls()
    [root] = json.loads((tmp_path / "calls.hatchet").read_text())
    assert root["children"][0]["metrics"]["count"] == 1
    with pytest.raises(ValueError, match="there is no session 7; started: none"):
        proton.deactivate(7)


def test_questions_to_a_gpu_have_answers():
    out = np.full(2, -1, np.int32)
    asked[(1,)](out)
    assert out.tolist() == [33, 0]

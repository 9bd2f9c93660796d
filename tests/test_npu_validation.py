"""The model of time against figures that others measured; the whole tables: python -m tiledsl.backends.npu.timing.validate FOLDER."""

import pytest

from tiledsl.backends.npu.machine import find
from tiledsl.backends.npu.timing import validate

# array, dataflow, m, k, n, compute cycles: SCALE-Sim 3.0.0 (PyPI)
SCALE_SIM = [
    ((128, 128), "os", 128, 128, 64, 381),
    ((16, 16), "os", 128, 128, 64, 5055),
    ((32, 32), "os", 129, 129, 129, 4774),
    ((8, 8), "os", 128, 128, 64, 18175),
    ((16, 16), "os", 256, 256, 64, 18303),
    ((128, 128), "os", 196, 1024, 256, 5111),
    ((128, 128), "os", 64, 768, 2304, 18395),
    ((16, 16), "os", 1, 2048, 1000, 130913),
    ((128, 128), "os", 1, 768, 3072, 24527),
    ((32, 32), "ws", 49, 2048, 512, 146431),
    ((128, 128), "ws", 49, 4608, 512, 62063),
]
# m, n, k, microseconds on a TPU v4: github scalesim-project/SCALE-Sim-validation, commit 45818f1a, data/data_matmul_new (MIT)
TPU_V4 = {
    "128": [
        (112, 128, 32, 1.2864),
        (112, 80, 112, 1.1818),
        (128, 48, 80, 1.1464),
        (128, 96, 48, 1.2547),
        (32, 32, 64, 1.095),
        (32, 64, 80, 1.0475),
        (48, 112, 64, 1.086),
        (48, 48, 32, 1.164),
        (48, 80, 96, 1.0858),
        (64, 48, 80, 1.0767),
        (80, 112, 64, 1.2474),
        (80, 48, 80, 1.0822),
        (80, 96, 96, 1.1577),
        (96, 32, 64, 1.0564),
        (96, 80, 80, 1.2765),
    ],
    "1024": [
        (1024, 1024, 128, 8.8568),
        (1024, 256, 384, 6.2421),
        (1024, 640, 384, 10.9933),
        (1024, 896, 1024, 43.6226),
        (128, 256, 768, 2.7182),
        (256, 1024, 256, 4.4759),
        (256, 512, 1024, 6.834),
        (256, 640, 896, 7.3277),
        (384, 1024, 256, 5.5242),
        (384, 128, 896, 3.8771),
        (384, 896, 1024, 18.1889),
        (512, 256, 128, 2.3929),
        (512, 512, 512, 6.9497),
        (512, 768, 768, 13.6585),
        (640, 128, 768, 4.573),
        (640, 512, 640, 9.0996),
        (640, 896, 512, 12.3936),
        (768, 256, 256, 4.126),
        (768, 640, 640, 14.4142),
        (768, 896, 384, 11.3232),
        (896, 384, 1024, 11.0651),
        (896, 640, 256, 8.2055),
        (896, 896, 1024, 25.9372),
    ],
    "4096": [
        (1024, 1024, 2560, 47.0769),
        (1024, 3072, 1024, 81.1706),
        (1024, 4096, 4096, 266.8681),
        (1536, 2048, 2048, 140.185),
        (2048, 1024, 3072, 102.6391),
        (2048, 3072, 4096, 398.2649),
        (2560, 1536, 2048, 151.0544),
        (2560, 3072, 3584, 410.0046),
        (3072, 3072, 2560, 355.1174),
        (3584, 2048, 3072, 316.4434),
        (3584, 3584, 3072, 544.7796),
        (4096, 2048, 3584, 431.7206),
        (4096, 3584, 1024, 258.1201),
    ],
}
# Jouppi et al., ISCA 2017, table 3: shares of all cycles in per cent
TPU_V1 = [("MLP0", "active", 12.5), ("MLP0", "stall", 53.9), ("MLP0", "other", 17.5), ("MLP1", "active", 10.6)]


@pytest.mark.parametrize(("array", "dataflow", "m", "k", "n", "cycles"), SCALE_SIM)
def test_folds_that_do_not_overlap_are_exact(array, dataflow, m, k, n, cycles):
    assert validate.array_cycles(array, dataflow, m, k, n) == cycles


@pytest.mark.parametrize(("group", "most"), [("128", 0.09), ("1024", 0.09), ("4096", 0.09)])
def test_one_machine_explains_small_and_large_products(group, most):
    machine = find("tpu-v4-core")
    errors = [abs(validate.product_microseconds(machine, m, k, n) / measured - 1) for m, n, k, measured in TPU_V4[group]]
    assert sum(errors) / len(errors) < most


@pytest.mark.parametrize(("network", "share", "measured"), TPU_V1)
def test_the_first_tpu_waits_for_weights(network, share, measured):
    assert abs(getattr(validate.network_counters(network), share) - measured) < 5


def test_the_first_tpu_reaches_what_was_measured():
    assert abs(validate.network_counters("MLP0").tops / 12.3 - 1) < 0.1


# apache/tvm-vta pull request 30, tsim: resnet18_v1 pipelined and not, resnet34_v2 not
@pytest.mark.parametrize(("depth", "step", "cycles"), [(18, 1, 7_729_601)])
def test_networks_on_vta(depth, step, cycles):
    assert abs(validate.network_cycles(depth, step) / cycles - 1) < 0.1

"""Arguments of a launch: what an array or a number becomes, and what is refused."""

import ctypes

import numpy as np
import pytest

from tiledsl.errors import ArgumentError, LaunchError
from tiledsl.ir.types import DTYPES, bf16, f16, f32, i1, i64
from tiledsl.memory import Buffer
from tiledsl.runtime.arguments import Slot, declared_element, extent, parameter


def key(value, **slot):
    return Slot("x", **slot).describe(value, [])


def bound(value, **slot):
    out = []
    Slot("x", **slot).describe(value, out)
    return out


def buffer(value, **slot) -> Buffer:
    (found,) = bound(value, **slot)
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "i32"),
        (16, "i32/16"),
        (0, "i32/16"),
        (-16, "i32/16"),
        (2**31 - 1, "i32"),
        (2**31 + 1, "i64"),
        (2**31, "i64/16"),
        (-(2**31) - 1, "i64"),
        (2**63 + 1, "u64"),
        (True, "i1"),
        (1.5, "f32"),
        (np.int64(3), "i32"),
        (np.float64(1), "f32"),
        (np.float16(1), "f32"),
        (np.bool_(True), "i1"),
        (np.longdouble(1.5), "f32"),
        (1, (int, 1)),
        (np.int32(1), (int, 1)),
        (None, (type(None), None)),
    ],
)
def test_numbers_have_the_types_of_the_reference(value, expected):
    assert key(value) == expected


def test_a_long_double_that_is_a_constant_is_a_float():
    assert key(np.longdouble(1.5), constant=True) == key(1.5, constant=True)
    assert type(parameter("x", np.longdouble(1.5), key(1.5, constant=True)).value) is float


def test_a_number_that_is_not_specialised_keeps_its_type():
    assert key(1, specialize=False) == "i32"
    assert key(32, specialize=False) == "i32"
    assert key(32, align=False) == "i32"
    assert key(1, align=False) == (int, 1)


def test_an_integer_beyond_64_bits_is_refused():
    with pytest.raises(ArgumentError, match="does not fit 64 bits"):
        key(2**64)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [("i64", 1, "i64"), ("i64", 32, "i64/16"), ("fp64", 2, "f64"), ("u1", 5, "i1"), ("u8", 255, "u8"), ("tl.int16", -3, "i16")],
)
def test_a_declared_type_holds(annotation, value, expected):
    assert key(value, elem=declared_element(annotation)) == expected


def test_a_value_that_its_declared_type_cannot_hold_is_refused():
    with pytest.raises(ArgumentError, match="`x` = 256 does not fit its declared type u8"):
        key(256, elem=declared_element("u8"))
    with pytest.raises(ArgumentError, match="declared i32, got float"):
        key(1.5, elem=declared_element("i32"))


def test_a_declared_pointer_reads_an_array_of_that_size_as_its_type():
    codes = np.zeros(4, np.uint16)
    assert buffer(codes, elem=declared_element("*bf16")).dtype is bf16
    with pytest.raises(ArgumentError, match=r"declared \*bf16, got a pointer to f32"):
        key(np.zeros(4, np.float32), elem=declared_element("*bf16"))
    with pytest.raises(ArgumentError, match=r"declared \*bf16, got int"):
        key(1, elem=declared_element("*bf16"))


@pytest.mark.parametrize("annotation", ["tl.constexpr", "torch.Tensor", "int", "bool", None, int, bool, np.ndarray])
def test_other_annotations_declare_nothing(annotation):
    assert declared_element(annotation) is None


def test_tuples_are_taken_apart():
    array = np.zeros(4, np.float32)
    out = []
    found = Slot("t").describe((1, 2.0, None, (array, 5)), out)
    p = parameter("t", (1, 2.0, None, (array, 5)), found)
    assert [str(leaf).split(" {")[0] for leaf in p.leaves()] == ["t.1: f32", "t.3.0: *f32", "t.3.1: i32"]
    assert len(out) == 3


def test_constants_that_compare_equal_are_told_apart():
    keys = [key(v, constant=True) for v in (1, True, 1.0, np.float32(1.0), "1", (1,), (True,), (1.0,), 0.0, -0.0)]
    assert len(set(keys)) == len(keys) - 1  # a NumPy number counts as the Python one
    assert key(float("nan"), constant=True) == key(float("nan"), constant=True)


@pytest.mark.parametrize("elem", [t for t in DTYPES.values() if t.numpy == t.storage])
def test_arrays_of_every_type_are_pointers(elem):
    assert buffer(np.zeros(3, elem.numpy)).dtype is elem


def test_bool_arrays_hold_a_byte_per_element():
    b = buffer(np.zeros(3, bool))
    assert b.dtype is i1
    assert b.nbytes == 3


def test_bfloat16_arrays_of_ml_dtypes_are_known_by_name():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    b = buffer(np.zeros(3, ml_dtypes.bfloat16))
    assert b.dtype is bf16
    assert b.nbytes == 6


def test_the_pointer_is_that_of_the_first_element_and_the_extent_covers_all():
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    for view in (base, base.T, base[::2, ::3], base[1:, 2:], base[::-1], base[::-1, ::-2], base[2], base[:0], base[1, 1]):
        view = np.asarray(view) if not isinstance(view, np.ndarray) else view
        b = buffer(view)
        assert b.address == view.__array_interface__["data"][0]
        low, high = np.lib.array_utils.byte_bounds(view) if view.size else (b.address, b.address)
        assert (b.start, b.stop) == (low, high)


def test_a_broadcast_array_reaches_no_further_than_its_memory():
    assert extent((5, 3), (0, 4), 4) == (0, 12)


def test_alignment_is_that_of_the_address():
    base = np.zeros(64, np.uint8)
    start = -base.ctypes.data % 16
    assert key(base[start : start + 16]) == "*u8/16"
    assert key(base[start + 1 : start + 16]) == "*u8"
    assert key(base[start : start + 16], align=False) == "*u8"


def test_a_read_only_array_is_not_writable():
    array = np.zeros(3)
    array.flags.writeable = False
    assert not buffer(array).writable


@pytest.mark.parametrize("dtype", ["complex64", "O", ">f4", "S3", "M8[s]"])
def test_other_element_types_are_listed_against(dtype):
    with pytest.raises(ArgumentError, match="element types: i1, i8") as caught:
        key(np.zeros(3, dtype))
    assert caught.value.message.startswith("`x` has elements of type")


@pytest.mark.parametrize("value", ["text", [1, 2], {}, object(), 1j, np.complex64(1), np.datetime64(3, "s")])
def test_other_values_are_refused(value):
    with pytest.raises(ArgumentError, match="which a kernel does not take") as caught:
        key(value)
    assert "NumPy arrays" in str(caught.value)


def test_torch_tensors_are_pointers():
    torch = pytest.importorskip("torch")
    for dtype, elem in ((torch.float32, f32), (torch.bfloat16, bf16), (torch.float16, f16), (torch.int64, i64), (torch.bool, i1)):
        tensor = torch.zeros(4, 6).to(dtype)
        b = buffer(tensor)
        assert (b.dtype, b.address, b.nbytes, b.before) == (elem, tensor.data_ptr(), tensor.nbytes, 0)
    view = torch.zeros(4, 6).T[1:, ::2]
    assert buffer(view).nbytes == ((view.shape[0] - 1) * view.stride(0) + (view.shape[1] - 1) * view.stride(1) + 1) * 4
    assert buffer(torch.nn.Parameter(torch.zeros(3))).dtype is f32
    with pytest.raises(LaunchError, match="on the device `meta`"):
        key(torch.zeros(3, device="meta"))
    with pytest.raises(ArgumentError, match="no memory that a kernel could use"):
        key(torch.eye(3).to_sparse())


class OnADevice:
    device, dtype, shape = "cuda:0", "torch.float32", (4,)

    def data_ptr(self):
        return 64


def test_an_array_on_a_device_is_refused():
    with pytest.raises(LaunchError, match=r"`x` is on the device `cuda:0`, kernels run on the CPU\nhelp: pass x.cpu\(\)"):
        key(OnADevice())


def test_any_object_with_a_data_pointer_will_do():
    class Tensor(OnADevice):
        device = "cpu"

        def stride(self):
            return (2,)

    b = buffer(Tensor())
    assert (b.address, b.nbytes, b.dtype) == (64, 28, f32)


class Exporter:
    """An array that offers nothing but DLPack."""

    def __init__(self, array, device=1, versioned=True):
        self.array, self.device = array, device
        if not versioned:
            self.__class__ = OldExporter

    def __dlpack_device__(self):
        return (self.device, 0)

    def __dlpack__(self, *, max_version=None):
        return self.array.__dlpack__(max_version=max_version)


class OldExporter(Exporter):
    def __dlpack__(self):
        return self.array.__dlpack__()


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="NumPy exports versioned capsules from 2.1 on")
def test_dlpack_objects_are_pointers():
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    b = buffer(Exporter(array))
    assert (b.address, b.nbytes, b.dtype, b.writable) == (array.ctypes.data, 96, f32, True)
    view = array[::-1, ::2]
    b = buffer(Exporter(view))
    assert (b.start, b.stop) == np.lib.array_utils.byte_bounds(view)
    array.flags.writeable = False
    assert not buffer(Exporter(array)).writable


def test_a_dlpack_object_that_cannot_say_it_may_be_written_may_not():
    b = buffer(Exporter(np.zeros(3), versioned=False))
    assert not b.writable
    assert b.nbytes == 24


def test_dlpack_objects_keep_their_memory_alive():
    torch = pytest.importorskip("torch")
    b = buffer(Exporter(torch.full((1000,), 7, dtype=torch.bfloat16)))
    assert b.dtype is bf16
    assert ctypes.c_uint16.from_address(b.address + 1998).value == 0x40E0


def test_a_dlpack_object_on_a_device_is_refused():
    with pytest.raises(LaunchError, match="on the device `cuda`"):
        key(Exporter(np.zeros(3), device=2))

"""Microscaling formats on the host: tensors of four-bit floats (e2m1) and of scales that are powers of two (e8m0)."""

from __future__ import annotations

from typing import Any

import torch

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # by code; bit 3 is the sign
BIAS, NAN = 127, 255  # of e8m0


class MXFP4Tensor:
    """Four-bit floats, one code per byte in `data`."""

    def __init__(self, data: Any = None, size: Any = None, device: Any = None):
        self.device = device
        self.data = torch.empty(0)
        if data is not None:
            self.device = data.device
            self.data = self._encoded(data)
        elif size is None:
            raise ValueError("pass data or a size")
        self.size = size if size is not None else self.data.shape

    def random(self) -> MXFP4Tensor:
        """Fill with random codes."""
        self.data = torch.randint(0, 16, tuple(self.size), dtype=torch.uint8, device=self.device)
        return self

    @staticmethod
    def _encoded(values: Any) -> Any:
        """The nearest codes; ties go to the even code, what is too large to the largest."""
        levels = torch.tensor(E2M1, dtype=torch.float64, device=values.device)
        sizes = values.to(torch.float64).abs().nan_to_num(nan=0.0, posinf=E2M1[-1]).clamp(max=E2M1[-1])
        above = torch.searchsorted(levels, sizes.contiguous()).clamp(max=7)
        below = (above - 1).clamp(min=0)
        down, up = sizes - levels[below], levels[above] - sizes
        code = torch.where((up < down) | ((up == down) & (above % 2 == 0)), above, below)
        return (code.to(torch.uint8) | (torch.signbit(values).to(torch.uint8) << 3)).to(torch.uint8)

    def to(self, dtype: Any) -> Any:
        """The values."""
        levels = torch.tensor(E2M1, dtype=dtype, device=self.data.device)
        size = levels[(self.data & 7).long()]
        return torch.where((self.data & 8) != 0, -size, size)

    def to_packed_tensor(self, dim: int) -> Any:
        """Two codes per byte along an axis, the first in the low bits."""
        data = self.data
        assert 0 <= dim < data.ndim, f"axis {dim} of {data.ndim}"
        if data.shape[dim] % 2:
            rest = [*data.shape]
            rest[dim] = 1
            data = torch.cat([data, torch.zeros(rest, dtype=data.dtype, device=data.device)], dim)
        low = data[(slice(None),) * dim + (slice(0, None, 2),)]
        high = data[(slice(None),) * dim + (slice(1, None, 2),)]
        return low | (high << 4)

    def unpack_packed_tensor(self, packed_tensor: Any, dim: int, original_shape: Any) -> Any:
        """The codes of a packed tensor."""
        pairs = torch.stack([packed_tensor & 15, packed_tensor >> 4], dim + 1)
        shape = [*packed_tensor.shape]
        shape[dim] *= 2
        return pairs.reshape(shape)[(slice(None),) * dim + (slice(0, original_shape[dim]),)]


class MXScaleTensor:
    """Powers of two, by their biased exponents in `data`; 255 is NaN."""

    def __init__(self, data: Any = None, size: Any = None, device: Any = None):
        self.device = device if data is None else data.device
        self.data = torch.empty(0) if data is None else self._encoded(data)
        self.size = size if size is not None else self.data.shape

    def random(self, low: float | None = None, high: float | None = None) -> MXScaleTensor:
        """Fill with random exponents; those of values from low to high."""
        first = 0 if low is None else max(0, int(torch.tensor(low).log2()) + BIAS)
        last = 254 if high is None else min(254, max(0, int(torch.tensor(high).log2()) + BIAS))
        self.data = torch.randint(first, last + 1, tuple(self.size), dtype=torch.uint8, device=self.device)
        return self

    @staticmethod
    def _encoded(values: Any) -> Any:
        valid = torch.isfinite(values) & (values > 0)
        exponents = torch.log2(torch.where(valid, values, torch.ones_like(values)).to(torch.float64)).floor() + BIAS
        return torch.where(valid, exponents.clamp(0, 254), torch.full_like(exponents, NAN)).to(torch.uint8)

    def to(self, dtype: Any) -> Any:
        """The values."""
        powers = torch.exp2(self.data.to(torch.float64) - BIAS)
        return torch.where(self.data == NAN, torch.full_like(powers, float("nan")), powers).to(dtype)

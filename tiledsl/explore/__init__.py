"""Machines of the accelerator compared: what one lacks (`doctor`), and what many make of the same kernels (`sweep`)."""

"""Kept for code that names it; kernels are compiled for the CPU."""

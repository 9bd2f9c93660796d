"""Timed kernels: `python -m tiledsl bench` puts tiledsl, NumPy and PyTorch side by side in one run."""

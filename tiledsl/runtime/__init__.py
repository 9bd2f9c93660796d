"""Running kernels: from the arguments of a call to a compiled program and its launch."""

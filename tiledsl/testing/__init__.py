"""Public testing tools: random programs, the oracle that compares backends, golden files, conformance of a backend."""

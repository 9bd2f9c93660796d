"""The names of Triton's native module that Python code imports."""

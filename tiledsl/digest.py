"""SHA-256 without OpenSSL: hashlib loads that library, which takes longer than loading a kernel."""

try:
    from _sha2 import sha256  # Python's own
except ImportError:
    try:
        from _sha256 import sha256  # its name before Python 3.12
    except ImportError:
        from hashlib import sha256  # a Python that leaves its own out

__all__ = ["sha256"]

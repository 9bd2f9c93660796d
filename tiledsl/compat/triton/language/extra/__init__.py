"""`triton.language.extra`: libraries of functions per machine; here all are one."""

from . import cuda, hip, libdevice

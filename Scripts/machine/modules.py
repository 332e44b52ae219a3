"""Loads kernel modules that lie beside this file: modules.py NAME ...

The machine of Scripts/machine/emulate has no other modules, and no modprobe."""

import ctypes, os, sys

FINIT_MODULE = 313  # On x86_64: finit_module(2) has no function in the C library.

library = ctypes.CDLL(None, use_errno=True)
for name in sys.argv[1:]:
    file = os.open(f"{os.path.dirname(os.path.abspath(__file__))}/{name}.ko", os.O_RDONLY)
    if library.syscall(FINIT_MODULE, file, b"", 0) != 0:
        sys.exit(f"{name}: {os.strerror(ctypes.get_errno())}")
    os.close(file)

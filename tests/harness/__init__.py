"""The virtual bench: the device image in QEMU with everything a person would plug into the real one.

Nothing in here needs pytest: `make demo` and `make run` use the same classes as the tests.
Only the standard library and programs from Debian packages are used.
"""

"""libpcap as a judge: its own interpreter runs what it compiles."""

import ctypes

from allegro.filters import libpcap


class Judge:
    """libpcap's own verdict of its expressions; each is compiled once."""

    def __init__(self) -> None:
        self._library = libpcap._library()
        self._programs: dict[str, ctypes.Array[ctypes.c_char]] = {}

    def __call__(self, expression: str, frame: bytes, length: int) -> bool:
        if expression not in self._programs:
            self._programs[expression] = ctypes.create_string_buffer(libpcap.compiled(expression))
        return bool(self._library.bpf_filter(self._programs[expression], frame, length, len(frame)))

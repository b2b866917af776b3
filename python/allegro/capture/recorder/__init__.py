"""Ports to ring: the program that records. Run as `python3 -m allegro.capture.recorder RECORDER.JSON`."""

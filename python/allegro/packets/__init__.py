"""Packets looked at in the page: what is shown of a file or of a window of the ring, and who dissects it."""

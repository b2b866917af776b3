"""Ports to ring, and windows of the ring to files."""

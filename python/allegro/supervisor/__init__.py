"""Puts the parts together into the process that controls the device."""

"""Allegro: open firmware for a network multimeter with back-in-time packet capture."""

__version__ = "0.2.0"

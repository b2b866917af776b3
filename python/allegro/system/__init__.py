"""The device itself: who it is, how it is."""

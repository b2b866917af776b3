"""Entry points that the Makefile calls."""

"""Storage devices and the files on them."""

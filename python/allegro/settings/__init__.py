"""The settings of the device: what there is, its limits, and the one file that holds it."""

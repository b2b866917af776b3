"""Statistics of the device for programs that collect such of many devices."""

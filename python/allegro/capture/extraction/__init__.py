"""Windows of the packet ring to files: a process of its own beside the recorder."""

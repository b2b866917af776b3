"""Which firmware starts: slots, boot state, updates."""

"""Who came in, and what people and device did: one list that survives restarts."""

"""Tells people what happened: by e-mail, webhook and syslog, from a queue that outlives power cuts."""

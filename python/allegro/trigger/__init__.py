"""From the press of a key to the file: presenters, durable jobs, tones."""

"""What monitor and serial port show: a client of the REST API that also knows what to say without it."""

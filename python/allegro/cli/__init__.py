"""The command line `allegro`: a client of the REST API, like the web page; one module per noun."""

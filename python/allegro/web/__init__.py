"""The web page: TLS, login, pages; a client of the REST API, without any right on the device."""

"""The address of the device in its own WiFi, unless another is set or needed: all that the web page needs."""

from ipaddress import IPv4Interface

DEFAULT_ADDRESS = IPv4Interface("192.168.78.1/24")

"""Network ports, links and management: what systemd-networkd and the kernel are told."""

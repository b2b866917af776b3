"""The recorder and tcpdump, dumpcap, netsniff-ng, stenotype on the same load: python -m benchmarks."""

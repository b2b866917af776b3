"""What makes a disk image of the device: small steps, put together by scripts/build_vm.py."""

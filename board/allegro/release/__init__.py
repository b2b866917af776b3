"""What a release consists of besides the disk image: small steps, put together by scripts/dist.py."""

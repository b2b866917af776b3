#!/bin/sh
# Called by Buildroot before it packs the target folder. The steps: board/allegro/image/buildroot.py.
repository=$(cd "$(dirname "$0")/../../.." && pwd)
PYTHONPATH=$repository:$repository/python PYTHONDONTWRITEBYTECODE=1 exec python3 -m board.allegro.image.buildroot post-build "$1"

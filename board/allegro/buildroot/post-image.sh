#!/bin/sh
# Called by Buildroot after it has packed the file system. The steps: board/allegro/image/buildroot.py.
repository=$(cd "$(dirname "$0")/../../.." && pwd)
PYTHONPATH=$repository:$repository/python PYTHONDONTWRITEBYTECODE=1 exec python3 -m board.allegro.image.buildroot post-image "$1"

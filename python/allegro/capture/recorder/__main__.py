"""The recorder as a program."""

import sys

from allegro.capture.recorder.loop import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m allegro.cli`."""

import sys

from allegro.cli.main import main

sys.exit(main())

"""`python -m enhanced_model_availability`: the command `availability`."""

import sys

from enhanced_model_availability import main

sys.exit(main())

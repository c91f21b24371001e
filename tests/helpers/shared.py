"""Where the shared data is."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("IRVIS_SHARED", ROOT.parent / "shared"))

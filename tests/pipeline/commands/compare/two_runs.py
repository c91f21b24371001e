"""What tests know of the two runs, and how they change them."""

import json

IMAGES = 12


def edit(path, change):
    """Change the contents of a JSON file in place."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))

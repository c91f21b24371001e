"""What a file of weights must not hold."""

import os


class Code:
    """Would make a folder if it were unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)

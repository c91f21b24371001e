"""Run a configuration: ``python run_pipeline.py [CONFIG] [dotted.key=value ...]``."""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))

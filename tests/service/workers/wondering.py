"""A worker's program that asks for a verdict before it serves, and does nothing more."""

from __future__ import annotations

import os
import sys
import time

from service.workers.messages import AskVerdict, encode

if __name__ == "__main__":
    os.write(int(sys.argv[1]), encode(AskVerdict(1, "folder", "version")))
    time.sleep(600)

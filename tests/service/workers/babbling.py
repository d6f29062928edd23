"""A worker's program that says what is none of ours, and goes on."""

from __future__ import annotations

import os
import sys
import time

if __name__ == "__main__":
    os.write(int(sys.argv[1]), b"good morning\n")
    time.sleep(600)

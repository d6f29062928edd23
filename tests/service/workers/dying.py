"""A worker's program that ends before it serves: `os._exit(7)`, as what runs out of memory does without a word."""

from __future__ import annotations

import os

if __name__ == "__main__":
    os._exit(7)

"""Tests of the log as files."""

"""Tests of the archive and the replay."""

"""The archive and the replay: what was decided, by what, and the same decision once more, byte for byte."""

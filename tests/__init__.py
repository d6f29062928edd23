"""The claims that the project makes, mirroring the code."""

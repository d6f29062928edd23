"""The generated public contract of Tact, one package a version."""

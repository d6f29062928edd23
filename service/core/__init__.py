"""The pure decision core: same inputs, same bytes out; no I/O, no clock, no dice."""

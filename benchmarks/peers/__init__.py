"""Other systems, asked for what they do best, in the same run as ours. See benchmarks/README.md.

`programs` runs in the peers' own environments, with the packages that their locks name and nothing of ours.
"""

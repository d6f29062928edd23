"""The code that decides, on virtual time, with a store that delays, loses, repeats and answers after executing."""

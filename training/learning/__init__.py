"""Learning from logged decisions: which learner an action gets, how it is calibrated, and what looks like a leak."""

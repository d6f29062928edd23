"""Offline learning: data set, fit, evaluation, promotion and report."""

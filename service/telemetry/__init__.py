"""Telemetry: what this process counts and measures of its own work, and how that leaves it: docs/telemetry.md.

Labels are ids that stand in the strategy, and words of this code; never anything of a customer.
"""

from service.telemetry.counts import COUNTED, MOST_LABELS, OTHER, Count, Counts

__all__ = ["COUNTED", "MOST_LABELS", "OTHER", "Count", "Counts"]

"""From tables to verdicts: intervals, claims, comparisons."""

"""Accuracy, intervals, comparisons and thresholds, from tables of trials alone."""

"""The report on continuations: from the tables of runs to metrics with intervals, claims, plots and one page."""

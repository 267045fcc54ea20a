"""The report on continuations: from the tables of runs to figures with intervals, claims, plots and one page."""

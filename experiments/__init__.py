"""The experiments: recognition memory, diversity of continuations, the demo; statistics, plots and reports."""

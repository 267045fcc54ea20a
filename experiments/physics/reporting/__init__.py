"""Reports of physics runs: accuracies, claims, curves, surprise over time and films of extremes."""

"""Models that come with the package, and the scripts that make them and the studies of how."""

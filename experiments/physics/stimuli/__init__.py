"""Matched films of events that can happen and that cannot, rendered in the playroom."""

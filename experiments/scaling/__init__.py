"""Scaling: laws of loss in parameters, data and compute, and how far a curve may be carried."""

"""Continuation diversity: what a model makes of half an image or clip, how varied it is, how near to the truth."""

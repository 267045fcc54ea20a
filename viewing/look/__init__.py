"""`data look`: a page to browse a data set by eye."""

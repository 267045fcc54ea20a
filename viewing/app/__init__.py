"""`app`: a model in the browser, to be tried by hand."""

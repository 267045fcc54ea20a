"""Recognition memory: what is studied, who learns, how it is tested, and what is made of the results."""

"""Sets of films in the layouts in which they are published."""

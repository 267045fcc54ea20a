"""People at the same table as models: their responses read, counted, and set beside what models remember."""

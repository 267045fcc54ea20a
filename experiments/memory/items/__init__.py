"""Memory picture by picture: whether what models remember is what people remember."""

"""The recognition test for people: a folder that any browser opens, and a server that collects the answers."""

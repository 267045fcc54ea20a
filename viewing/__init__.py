"""What people look at in a browser: pages of data, and an app to play with models."""

"""What lies on disk: run and model folders, tables, the hub, files of other programs."""

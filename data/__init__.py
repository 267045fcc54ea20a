"""What goes in: films, images, token stores, stimulus lists, and the playroom."""

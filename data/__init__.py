"""What goes in: videos, images, token stores, stimulus lists, and the playroom."""

"""Models for other people: model cards, and pushing to the Hugging Face hub."""

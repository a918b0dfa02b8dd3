"""Edits of a user's code, and the search for those that make it right."""

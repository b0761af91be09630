"""Plait for utterances: what is said, how it sounds and how it looks, and the sentiment in it."""

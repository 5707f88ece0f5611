"""Room of recordings: sound, video and text in, frames out. It alone needs requirements-media.txt."""

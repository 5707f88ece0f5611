"""Feature extraction from recordings: audio, video and text to frames. It needs requirements-media.txt."""

"""The default form lives: on both corpora, and with text and visual features scaled by 0.2 to 3 (issue 3, item 5)."""

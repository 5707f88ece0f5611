"""Tables of results: Table 1, its marks and tests, comparisons, robustness."""

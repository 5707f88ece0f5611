"""The corpus as the stages read it: features, folds, acoustic scaling and the splitting rule."""

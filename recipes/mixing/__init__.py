"""Pictures of several units at once: weighted sums of objectives (Olah et al. 2017, "Feature Visualization")."""

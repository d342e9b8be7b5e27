"""The product's pure middle, and its edges over the twins."""

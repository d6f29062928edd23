"""Training of predicted fields: from an event history to predictors that a nearline job asks."""

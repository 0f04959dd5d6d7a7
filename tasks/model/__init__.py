"""Networks, augmentation, drawn strokes, and models as they lie in a store. Keras is imported where it is used."""

"""Networks, augmentation, drawn strokes, and models as they lie in a store. Keras is imported where it is used."""

import logging

EPOCHS_WITHOUT_SPLIT = {"mlp": 40, "cnn": 40, "transfer": 12}
"""Epochs of each recipe where their number is not searched for, measured on other people's digits."""

# a night loads some models and reads with each once or twice: TensorFlow warns that each had to be traced again
logging.getLogger("tensorflow").addFilter(lambda record: "retracing" not in record.getMessage())

"""A model type of this project: the usual value for similar flights."""

import json
import statistics

import numpy as np

LEAST = 30


class MedianOfSimilar:
    """The median label of the training rows with the same features.

    If there are fewer than the parameter `min_rows`, features are ignored from the last one on until there are enough:
    the most informative feature stands first. Features are codes or other whole numbers.
    """

    def fit(self, examples, setting):
        similar = {}
        for key, label in zip(keys(examples.matrix), examples.target.tolist(), strict=True):
            for length in range(len(key) + 1):
                similar.setdefault(key[:length], []).append(label)
        least = setting.parameters.get("min_rows", LEAST)
        self.medians = {
            key: statistics.median(labels)
            for key, labels in similar.items()
            if len(labels) >= least or not key
        }

    def predict(self, matrix):
        return np.array([self._median(key) for key in keys(matrix)])

    def save(self):
        return {
            "medians.json": json.dumps([[list(key), value] for key, value in self.medians.items()]).encode()
        }

    def load(self, files):
        self.medians = {tuple(key): value for key, value in json.loads(files["medians.json"])}

    def size(self):
        return {"medians": len(self.medians)}

    @staticmethod
    def check(parameters):
        least = parameters.get("min_rows", LEAST)
        if set(parameters) - {"min_rows"} or type(least) is not int or least < 1:
            raise ValueError("the only parameter is min_rows, a whole number from 1 on")

    @staticmethod
    def evaluate(actual, predicted):
        return {"within_10_minutes": np.mean(np.abs(actual - predicted) <= 10)}

    def _median(self, key):
        while key not in self.medians:
            key = key[:-1]
        return self.medians[key]


def keys(matrix):
    """The features of each row as a tuple; -1 stands for a missing one."""
    return [tuple(row) for row in np.nan_to_num(matrix, nan=-1).astype(int).tolist()]

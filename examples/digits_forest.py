"""scikit-learn: an estimator that only gives a score. A number that is returned is a report.

sweeps run examples/digits_forest.toml
"""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score


def load_data():
    return load_digits(return_X_y=True)


def train(trees, depth, max_features=0.5, *, seed, data):
    x, y = data
    forest = RandomForestClassifier(trees, max_depth=depth, max_features=max_features, random_state=seed)
    return cross_val_score(forest, x, y, cv=3).mean()

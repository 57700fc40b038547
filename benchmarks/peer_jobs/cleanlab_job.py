"""cleanlab on features: `python cleanlab_job.py FEATURES.npz OUT.json plain|grouped default|chosen`.

Plain logistic regression on the features as they are, probabilities out of sample by 5 folds (stratified at random, or
whole sources at a time), then `find_label_issues` and its ranking. Its strength of regularisation is scikit-learn's
default, or the one with the lowest out-of-sample log loss on the labels as given: the truth takes no part in it.
"""

import json
import sys
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict

_STRENGTHS = {"default": (1.0,), "chosen": (1.0, 0.1, 0.01, 0.001, 0.0001)}


def main(source: Path, out: Path, how: str, strength: str) -> None:
    """Write {"ranked": [row, worst first], "issues": [row, worst first], "C": the inverse strength}."""
    data = np.load(source)
    features, labels, groups = data["features"], data["labels"], data["groups"]
    folds = GroupKFold(5) if how == "grouped" else StratifiedKFold(5, shuffle=True, random_state=0)
    tried = {}
    for c in _STRENGTHS[strength]:
        model = LogisticRegression(C=c, max_iter=1000)
        tried[c] = cross_val_predict(model, features, labels, groups=groups, cv=folds, method="predict_proba")
    best = min(tried, key=lambda c: log_loss(labels, tried[c]))
    probabilities = tried[best]
    issues = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence")
    ranked = np.argsort(get_label_quality_scores(labels, probabilities, method="self_confidence"), kind="stable")
    out.write_text(json.dumps({"ranked": ranked.tolist(), "issues": issues.tolist(), "C": best}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])

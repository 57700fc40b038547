"""cleanlab on features: `python cleanlab_job.py FEATURES.npz OUT.json plain|grouped`.

Plain logistic regression, probabilities out of sample by 5 folds (stratified at random, or whole sources at a time),
then `find_label_issues` and its ranking.
"""

import json
import sys
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(source: Path, out: Path, how: str) -> None:
    """Write {"ranked": [row, worst first], "issues": [row, worst first]}."""
    data = np.load(source)
    features, labels, groups = data["features"], data["labels"], data["groups"]
    folds = GroupKFold(5) if how == "grouped" else StratifiedKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probabilities = cross_val_predict(model, features, labels, groups=groups, cv=folds, method="predict_proba")
    issues = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence")
    ranked = np.argsort(get_label_quality_scores(labels, probabilities, method="self_confidence"), kind="stable")
    out.write_text(json.dumps({"ranked": ranked.tolist(), "issues": issues.tolist()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

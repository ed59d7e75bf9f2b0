"""Writes metrics.json: inputs and the figures scikit-learn gives for them.

Run with scikit-learn and NumPy: python make_metrics.py
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics as m


def calibration_error(p, y, bins=15):
    """Guo et al. 2017, written from the paper with NumPy alone."""
    confidence, hit = p.max(1).astype(np.float64), p.argmax(1) == y
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.sum() * abs(hit[inside].mean() - confidence[inside].mean())
    return total / len(y)


def classification(rng, n, classes, unseen=0, digits=None):
    y = rng.integers(0, classes - unseen, n)
    scores = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    if digits is not None:  # ties
        p = np.round(p, digits) + 0.01
        p = p / p.sum(1, keepdims=True)
    p = p.astype(np.float32)
    guess = p.argmax(1)
    labels = list(range(classes))
    case = {
        "classCount": classes,
        "labels": y.tolist(),
        "predictions": guess.tolist(),
        "probabilities": [float(v) for v in p.ravel()],
        "accuracy": m.accuracy_score(y, guess),
        "confusion": m.confusion_matrix(y, guess, labels=labels).tolist(),
        "logLoss": float(m.log_loss(y, p, labels=labels)),
        "calibrationError": calibration_error(p, y),
        "averages": {
            kind: [
                float(v)
                for v in m.precision_recall_fscore_support(
                    y, guess, average=kind, zero_division=0
                )[:3]
            ]
            for kind in ("macro", "micro", "weighted")
        },
        "perClass": [
            [float(v) for v in row]
            for row in zip(
                *m.precision_recall_fscore_support(y, guess, labels=labels, zero_division=0)
            )
        ],
    }
    if classes > 2:
        case["top2"] = float(m.top_k_accuracy_score(y, p, k=2, labels=labels))
    if unseen == 0:
        case["brier"] = float(m.brier_score_loss(y, p[:, 1] if classes == 2 else p))
        one_hot = np.eye(classes)[y]
        case["areas"] = {
            kind: float(m.roc_auc_score(one_hot, p, average=kind))
            for kind in ("macro", "micro", "weighted")
        }
        fpr, tpr, thresholds = m.roc_curve(y == 1, p[:, 1], drop_intermediate=False)
        case["roc"] = {
            "fpr": fpr.tolist(),
            "tpr": tpr.tolist(),
            "thresholds": [float(v) for v in thresholds[1:]],
        }
    return case


def regression(rng, n):
    y = rng.normal(3, 2, n).astype(np.float32)
    guess = (y + rng.normal(0, 0.7, n)).astype(np.float32)
    a, b = y.astype(np.float64), guess.astype(np.float64)
    return {
        "targets": [float(v) for v in y],
        "predictions": [float(v) for v in guess],
        "mse": m.mean_squared_error(a, b),
        "rmse": m.root_mean_squared_error(a, b),
        "mae": m.mean_absolute_error(a, b),
        "r2": m.r2_score(a, b),
    }


rng = np.random.default_rng(20240607)
golden = {
    "scikitLearn": sklearn.__version__,
    "classification": [
        classification(rng, 60, 2),
        classification(rng, 80, 4),
        classification(rng, 50, 5, unseen=2),
        classification(rng, 70, 3, digits=1),
    ],
    "regression": [regression(rng, 40)],
}
Path(__file__).with_name("metrics.json").write_text(json.dumps(golden) + "\n")

"""Bag-of-words logistic regression by scikit-learn, on the very split that Apus is trained on.

    python3 peer_text.py split sms_spam.tsv.gz DIR   writes DIR/train.tsv and DIR/test.tsv
    python3 peer_text.py score DIR                   trains on the first, scores the second

The split is stratified, 80 % to 20 %, with a fixed seed. Apus then does
    apus train --data DIR/train.tsv --test-fraction 0 --text-column 2 --target 1 --model text-gru ...
    apus evaluate --model m.safetensors --data DIR/test.tsv
"""
import csv
import gzip
import sys
from pathlib import Path

from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline


def read(path):
    """Rows `label TAB text` without quoting, or a CSV with the header `text,category`."""
    opened = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
    with opened as file:
        if ".csv" in path:
            rows = list(csv.DictReader(file))
            return [row["category"] for row in rows], [row["text"] for row in rows]
        rows = [line.rstrip("\n").split("\t", 1) for line in file]
        return [row[0] for row in rows], [row[1] for row in rows]


def score(train, test):
    labels, texts = read(train)
    truth, held = read(test)
    for name, vectorizer in [("counts", CountVectorizer()), ("tf-idf", TfidfVectorizer())]:
        model = make_pipeline(vectorizer, LogisticRegression(max_iter=2000))
        found = model.fit(texts, labels).predict(held)
        print(
            f"{name:7} accuracy {100 * accuracy_score(truth, found):.2f} % of {len(truth)}, "
            f"macro F1 {f1_score(truth, found, average='macro'):.4f}"
        )


def main():
    command, *arguments = sys.argv[1:]
    if command == "split":
        labels, texts = read(arguments[0])
        folder = Path(arguments[1])
        folder.mkdir(parents=True, exist_ok=True)
        parts = train_test_split(texts, labels, test_size=0.2, random_state=0, stratify=labels)
        for name, held, truth in [("train", parts[0], parts[2]), ("test", parts[1], parts[3])]:
            lines = [f"{label}\t{text}\n" for label, text in zip(truth, held)]
            (folder / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    elif command == "score":
        if len(arguments) == 2:
            score(*arguments)
        else:
            score(f"{arguments[0]}/train.tsv", f"{arguments[0]}/test.tsv")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()

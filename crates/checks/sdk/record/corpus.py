"""Makes a corpus of request bodies from a recording: each shape once, its texts in our own words.

Usage: corpus.py SDK RECORDING.jsonl >> corpus.jsonl
"""

import base64
import json
import re
import sys

# Groups of operations that validation has rules for.
KNOWN = re.compile(
    r"/(chat/completions|responses|completions|embeddings|moderations|images/\w+|files"
    r"|audio/(speech|transcriptions|translations)|assistants(/\w+)?|threads|threads/runs"
    r"|threads/(?!runs)\w+(/messages|/runs|/runs/\w+/submit_tool_outputs)?)"
)
# Texts of the suites, and ours.
WORDS = {
    "string": "a text",
    "foo": "key",
    "...text to classify goes here...": "Is this sentence fine?",
    "A cute baby sea otter wearing a beret": "a lighthouse with a hat",
    "A cute baby sea otter": "a lighthouse at dusk",
    "The quick brown fox jumped over the lazy dog": "The boat left at dawn",
    "This is a test.": "Say it again.",
    "Example data": "the bytes of a file",
    "user-1234": "ann-1",
}


def worded(text):
    """A text with the words of the suites replaced by ours."""
    for theirs, ours in WORDS.items():
        text = text.replace(json.dumps(theirs)[1:-1], ours)
    # A value that only repeats the name of its field.
    return re.sub(r'"(\w+)":"\1"', r'"\1":"a-\1"', text)


def main():
    sdk, recording = sys.argv[1:]
    seen = set()
    for line in open(recording, encoding="utf-8"):
        row = json.loads(line)
        path = row["path"].split("?")[0].removeprefix("/v1")
        if row["method"] != "POST" or not KNOWN.fullmatch(path):
            continue
        kind, body = row["type"] or "", base64.b64decode(row["body"])
        boundary = re.search(r'boundary="?([^";]+)', kind)
        if boundary:
            body = body.replace(boundary[1].encode(), b"XX")
            kind = "multipart/form-data; boundary=XX"
        shape = (path, kind, worded(body.decode()))
        if shape not in seen:
            seen.add(shape)
            print(json.dumps({"sdk": sdk, "path": path, "type": kind, "body": shape[2]}))


main()

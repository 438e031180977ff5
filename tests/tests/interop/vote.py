"""Queues votes as the original's vote service does: each by a client of its own, as JSON with two fields.

Arguments: the port, then voter and vote by turns.
"""

import json
import sys

from redis import Redis

port, *words = sys.argv[1:]
for voter, vote in zip(words[::2], words[1::2], strict=True):
    client = Redis(host="localhost", port=int(port), db=0, socket_timeout=5)
    length = client.rpush("votes", json.dumps({"voter_id": voter, "vote": vote}))
    assert length >= 1, length

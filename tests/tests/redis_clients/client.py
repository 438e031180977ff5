"""Ordinary calls of redis-py; the first argument is the store's port. Fails at the first surprise."""

import sys
import threading

import redis

port = int(sys.argv[1])
r = redis.Redis(port=port, decode_responses=True)
assert r.ping()
assert r.flushall()
assert r.rpush("votes", "a", "b", "c") == 3
assert r.lpush("votes", "z") == 4
assert r.llen("votes") == 4
assert r.lrange("votes", 0, -1) == ["z", "a", "b", "c"]
assert r.lpop("votes") == "z" and r.rpop("votes") == "c"
assert r.lpop("votes", 5) == ["a", "b"] and r.lpop("votes") is None
r.rpush("l", "x", "y", "x")
assert r.lrem("l", 1, "x") == 1
assert r.lmove("l", "m", "LEFT", "RIGHT") == "y"
assert r.hset("h", mapping={"f": "1", "g": "two"}) == 2
assert r.hget("h", "f") == "1" and r.hmget("h", "g", "none") == ["two", None]
assert r.hgetall("h") == {"f": "1", "g": "two"}
assert r.hincrby("h", "f", 41) == 42 and r.hlen("h") == 2 and r.hdel("h", "g") == 1
assert r.set("n", 1) and r.incr("n") == 2 and r.get("n") == "2"
assert r.set("n", 3, nx=True) is None
assert r.exists("n", "none") == 1 and r.type("h") == "hash" and r.delete("n") == 1
assert r.dbsize() == 3
assert r.info("server")["redis_version"].startswith("7.")
assert "maxmemory" in r.config_get("maxmemory")
assert r.client_setname("me") and r.client_getname() == "me"
assert isinstance(r.client_id(), int)
assert r.time()[0] > 0

# A pipeline, with and without a transaction.
with r.pipeline(transaction=False) as pipe:
    for number in range(1000):
        pipe.rpush("bulk", number)
    assert pipe.execute()[-1] == 1000
with r.pipeline() as pipe:
    pipe.rpush("t", "1").llen("t").lpop("t")
    assert pipe.execute() == [1, 1, "1"]

# WATCH: another client comes between.
with r.pipeline() as pipe:
    pipe.watch("w")
    redis.Redis(port=port).set("w", "other")
    pipe.multi()
    pipe.set("w", "mine")
    try:
        pipe.execute()
        raise AssertionError("the other's change was not noticed")
    except redis.WatchError:
        pass


def add_one(pipe):
    pipe.multi()
    pipe.incr("count")


assert r.transaction(add_one, "count") == [1]

# Blocking: until something comes, and until the time is up.
threading.Timer(0.2, lambda: redis.Redis(port=port).rpush("late", "element")).start()
assert r.blpop("late", timeout=10) == ("late", "element")
assert r.brpop(["late", "later"], timeout=0.1) is None
r.rpush("from", "e")
assert r.blmove("from", "to", 1, "LEFT", "RIGHT") == "e"

# Errors are redis-py's own kinds.
for call, kind in [
    (lambda: r.incr("h"), redis.ResponseError),
    (lambda: r.execute_command("NONSENSE"), redis.ResponseError),
    (lambda: redis.Redis(port=port, db=1).ping(), redis.ResponseError),
]:
    try:
        call()
        raise AssertionError("no error")
    except kind:
        pass

binary = redis.Redis(port=port)
value = bytes(range(256))
binary.set(b"\x00\xff", value)
assert binary.get(b"\x00\xff") == value
# Both protocols.
for protocol in (2, 3):
    p = redis.Redis(port=port, protocol=protocol, decode_responses=True)
    assert p.hgetall("h") == {"f": "42"} and p.get("none") is None and p.blpop("none", timeout=0.01) is None

print("well", redis.__version__)

//! The `redis` crate, with typed commands, pipelines, transactions and blocking pops.

use std::thread;
use std::time::Duration;

use redis::{Client, Commands, Connection, Direction, RedisResult, pipe};
use tests::redis::{Server, store};

fn connect(server: &Server) -> Connection {
    let client = Client::open(format!("redis://{}/", server.address)).expect("an address");
    client.get_connection().expect("a connection")
}

#[test]
fn the_redis_crate_makes_its_ordinary_calls() -> RedisResult<()> {
    let server = store(&[]);
    let mut client = connect(&server);
    assert_eq!(client.rpush::<_, _, u32>("votes", &["a", "b"])?, 2);
    assert_eq!(client.lrange::<_, Vec<String>>("votes", 0, -1)?, ["a", "b"]);
    assert_eq!(client.lmove::<_, _, String>("votes", "taken", Direction::Left, Direction::Right)?, "a");
    assert_eq!(client.lpop::<_, Option<String>>("nothing", None)?, None);
    client.hset_multiple::<_, _, _, ()>("h", &[("f", 1), ("g", 2)])?;
    assert_eq!(client.hgetall::<_, Vec<(String, u32)>>("h")?, [("f".to_owned(), 1), ("g".to_owned(), 2)]);
    assert_eq!(client.incr::<_, _, i64>("m", 2)?, 2);
    client.set::<_, _, ()>("n", 41)?;
    assert_eq!(redis::cmd("INCR").arg("n").query::<i64>(&mut client)?, 42);
    assert!(client.exists::<_, bool>("n")?);
    assert_eq!(client.del::<_, u32>(&["n", "none"])?, 1);
    Ok(())
}

#[test]
fn the_redis_crate_pipelines_and_commits() -> RedisResult<()> {
    let server = store(&[]);
    let mut client = connect(&server);
    let mut pipeline = pipe();
    (0..1000).for_each(|number| {
        pipeline.rpush("bulk", number).ignore();
    });
    let (length,): (u32,) = pipeline.llen("bulk").query(&mut client)?;
    assert_eq!(length, 1000);
    let (added, size): (u32, u32) = pipe().atomic().hset("h", "f", 1).hlen("h").query(&mut client)?;
    assert_eq!((added, size), (1, 1));
    let mut other = connect(&server);
    let mut attempts = 0;
    let result: (String,) = redis::transaction(&mut client, &["watched"], |client, pipeline| {
        attempts += 1;
        if attempts == 1 {
            other.set::<_, _, ()>("watched", "other")?;
        }
        pipeline.set("watched", "mine").query(client)
    })?;
    assert_eq!((attempts, result.0.as_str()), (2, "OK"));
    Ok(())
}

#[test]
fn the_redis_crate_waits_for_elements() -> RedisResult<()> {
    let server = store(&[]);
    let mut client = connect(&server);
    assert_eq!(client.brpop::<_, Option<(String, String)>>("late", 0.05)?, None);
    let mut other = connect(&server);
    let pusher = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        other.rpush::<_, _, u32>("late", "element")
    });
    assert_eq!(client.blpop::<_, (String, String)>("late", 10.0)?, ("late".to_owned(), "element".to_owned()));
    assert_eq!(pusher.join().expect("no panic")?, 1);
    Ok(())
}

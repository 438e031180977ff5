//! Clients that wait: who is served, when, and what becomes of elements when somebody hangs up.

use std::assert_eq;

use super::Bench;

#[test]
fn the_first_to_wait_is_the_first_to_be_served() {
    let mut bench = Bench::new();
    let [first, second, third, pusher] = core::array::from_fn(|_| bench.connect());
    assert_eq!(bench.ask(first, "BLPOP q 0"), "");
    assert_eq!(bench.ask(second, "BRPOP other q 0"), "");
    assert_eq!(bench.ask(third, "BLMOVE q done LEFT RIGHT 0"), "");
    assert_eq!(bench.ask(pusher, "RPUSH q 1 2 3 4"), r":4\r\n");
    assert_eq!(bench.received(first), r"*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
    assert_eq!(bench.received(second), r"*2\r\n$1\r\nq\r\n$1\r\n4\r\n");
    assert_eq!(bench.received(third), r"$1\r\n2\r\n");
    assert_eq!(bench.ask(pusher, "LRANGE q 0 -1"), r"*1\r\n$1\r\n3\r\n");
    assert_eq!(bench.ask(pusher, "LRANGE done 0 -1"), r"*1\r\n$1\r\n2\r\n");
}

#[test]
fn a_blocked_client_is_served_before_the_pushers_next_command() {
    let mut bench = Bench::new();
    let [waiter, pusher] = core::array::from_fn(|_| bench.connect());
    bench.ask(waiter, "BLPOP q 0");
    assert_eq!(bench.ask(pusher, "RPUSH q 1\r\nLPOP q\r\nEXISTS q"), r":1\r\n$-1\r\n:0\r\n");
    assert_eq!(bench.received(waiter), r"*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
}

#[test]
fn a_blocked_client_is_served_after_the_whole_transaction() {
    let mut bench = Bench::new();
    let [waiter, pusher] = core::array::from_fn(|_| bench.connect());
    bench.ask(waiter, "BLPOP q 0");
    let reply = bench.ask(pusher, "MULTI\r\nRPUSH q 1 2\r\nLPOP q\r\nLLEN q\r\nEXEC\r\nLLEN q");
    assert!(reply.ends_with(r"*3\r\n:2\r\n$1\r\n1\r\n:1\r\n:0\r\n"), "{reply}");
    assert_eq!(bench.received(waiter), r"*2\r\n$1\r\nq\r\n$1\r\n2\r\n");
}

#[test]
fn an_element_goes_through_a_chain_of_movers() {
    let mut bench = Bench::new();
    let [last, middle, first, pusher] = core::array::from_fn(|_| bench.connect());
    bench.ask(last, "BLPOP c 0");
    bench.ask(middle, "BLMOVE b c LEFT LEFT 0");
    bench.ask(first, "BLMOVE a b LEFT LEFT 0");
    assert_eq!(bench.ask(pusher, "LPUSH a x"), r":1\r\n");
    assert_eq!(bench.received(first), r"$1\r\nx\r\n");
    assert_eq!(bench.received(middle), r"$1\r\nx\r\n");
    assert_eq!(bench.received(last), r"*2\r\n$1\r\nc\r\n$1\r\nx\r\n");
    assert_eq!(bench.ask(pusher, "DBSIZE"), r":0\r\n");
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    let mut bench = Bench::new();
    let [waiter, patient] = core::array::from_fn(|_| bench.connect());
    bench.ask(waiter, "BLMOVE q done LEFT RIGHT 0.5\r\nPING");
    bench.ask(patient, "BLPOP q 0");
    let due =
        bench.call(|store, _| kernel_app::Service::next_deadline(store)).expect("a wait has a deadline");
    assert_eq!((due - bench.now).as_millis(), 500);
    bench.wait(499);
    assert_eq!(bench.received(waiter), "");
    bench.wait(1);
    assert_eq!(bench.received(waiter), r"*-1\r\n+PONG\r\n", "then the client goes on with its input");
    assert_eq!(bench.call(|store, _| kernel_app::Service::next_deadline(store)), None);
    assert_eq!(bench.received(patient), "");
}

#[test]
fn requests_behind_a_wait_are_answered_after_it() {
    let mut bench = Bench::new();
    let [waiter, pusher] = core::array::from_fn(|_| bench.connect());
    assert_eq!(bench.ask(waiter, "BLPOP q 0\r\nECHO hi\r\nBLPOP q 0\r\nPING"), "");
    bench.ask(pusher, "RPUSH q 1");
    assert_eq!(bench.received(waiter), r"*2\r\n$1\r\nq\r\n$1\r\n1\r\n$2\r\nhi\r\n");
    bench.ask(pusher, "RPUSH q 2");
    assert_eq!(bench.received(waiter), r"*2\r\n$1\r\nq\r\n$1\r\n2\r\n+PONG\r\n");
}

#[test]
fn closed_connections_are_skipped() {
    let mut bench = Bench::new();
    let [gone, ending, waiter, pusher] = core::array::from_fn(|_| bench.connect());
    for client in [gone, ending, waiter] {
        bench.ask(client, "BLPOP q 0");
    }
    bench.disconnect(gone);
    // Its end has arrived, but the store has not been told yet.
    bench.connections.get_mut(ending).expect("open").input_ended = true;
    assert_eq!(bench.ask(pusher, "RPUSH q 1"), r":1\r\n");
    assert_eq!(bench.received(ending), "<EOF>");
    assert_eq!(bench.received(waiter), r"*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
}

#[test]
fn a_client_that_ends_its_stream_while_it_waits_is_disconnected() {
    let mut bench = Bench::new();
    let [waiter, pusher] = core::array::from_fn(|_| bench.connect());
    bench.ask(waiter, "BLPOP q 0");
    bench.end_input(waiter);
    assert_eq!(bench.received(waiter), "<EOF>");
    bench.ask(pusher, "RPUSH q 1");
    assert_eq!(bench.ask(pusher, "LLEN q"), r":1\r\n");
}

#[test]
fn a_move_to_a_key_of_another_type_fails_and_the_element_stays() {
    let mut bench = Bench::new();
    let [mover, waiter, pusher] = core::array::from_fn(|_| bench.connect());
    bench.ask(mover, "BLMOVE q s LEFT LEFT 0");
    bench.ask(pusher, "SET s v");
    let reply = bench.ask(pusher, "RPUSH q 1");
    assert_eq!(reply, r":1\r\n");
    let wrong = r"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    assert_eq!(bench.received(mover), wrong);
    assert_eq!(bench.ask(waiter, "BLPOP q 0"), r"*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
}

#[test]
fn keys_of_blocked_clients_are_bounded() {
    let mut bench = Bench::new();
    let key = "k".repeat(60_000);
    let mut refused = 0;
    for number in 0..40 {
        let client = bench.connect();
        let reply = bench.ask(client, &std::format!("BLPOP {key}{number} 0"));
        refused += usize::from(reply.starts_with("-ERR too many clients wait"));
    }
    assert_eq!(refused, 40 - crate::limits::WAIT_BYTES_MAX / 120_500, "each name is kept twice");
}

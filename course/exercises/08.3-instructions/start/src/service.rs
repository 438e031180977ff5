//! The service around the page. Leave this file as it is; change `lib.rs`.

extern crate alloc;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use exercise_08_3::Poll;
use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::Exposition;
use kernel_app::settings::SettingError;
use kernel_app::{ConnectionId, Context, Endpoints, Instant, Listener, Origin, Service, Settings};

const PORT: u16 = 8080;
const OPTIONS: [&str; 4] = ["Cats", "Dogs & wolves", "Lizards", "<none>"];
const BODY_BYTES_MAX: usize = 64;

pub fn program(_: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    Ok(vec![Box::new(PollService {
        http: HttpServer::new(BODY_BYTES_MAX),
        handler: PollHandler(Poll::new(&OPTIONS)),
    })])
}

struct PollService {
    http: HttpServer,
    handler: PollHandler,
}

struct PollHandler(Poll);

impl Handler for PollHandler {
    fn routes(&self) -> &'static [Route] {
        &[Route { path: "/", methods: &[Method::Get] }]
    }

    fn handle(&mut self, request: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
        let choice = request.query.strip_prefix("choice=").and_then(|digits| digits.parse().ok());
        let page = self.0.page(choice);
        Answer::Now(Response::new(200, "text/html; charset=utf-8", page.as_bytes()))
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        Ok(())
    }

    fn metrics(&self, _: &mut Exposition) {}
}

impl Service for PollService {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints { listeners: vec![Listener { name: "http", port: PORT }], peers: Vec::new() }
    }

    fn opened(&mut self, id: ConnectionId, _: Origin, context: &mut Context<'_>) {
        self.http.opened(id, context);
    }

    fn ready(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.http.ready(id, &mut self.handler, context);
    }

    fn closed(&mut self, id: ConnectionId, _: &mut Context<'_>) {
        self.http.closed(id);
    }

    fn turn(&mut self, context: &mut Context<'_>) {
        self.http.turn(&mut self.handler, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.http.next_deadline()
    }
}

//! The service: a page that shows the greeting of another service. It keeps one connection to that service, and asks
//! it for each page.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kernel_app::assets::{escape, fill};
use kernel_app::client::backend_service::{Backend, BackendService};
use kernel_app::client::{HttpClient, Outcome};
use kernel_app::http::{Answer, Exchange, Handler, HttpServer, Method, Request, Response, Route};
use kernel_app::metrics::{Counter, Exposition};
use kernel_app::network::Unreachable;
use kernel_app::settings::SettingError;
use kernel_app::{ConnectionId, Context, Instant, Service, Settings, Usage};

/// Port of the page unless `PORT` says otherwise.
const PORT_DEFAULT: u16 = 8090;
/// Longest request body; nothing here wants one.
const BODY_BYTES_MAX: usize = 1024;
/// How long the other service may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The page, where `{greeting}` is filled in.
const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>A greeting</title>\n\
    <p>The other service says: {greeting}</p>\n</html>\n";

/// The program: one service. It is called once, when the program starts.
///
/// # Errors
/// When a setting cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let hello = settings.http("HELLO_URL", "http://hello:8090")?;
    let port = settings.port("PORT", PORT_DEFAULT)?;
    let handler = PageHandler { hello: HttpClient::new(hello.host), shown: Counter::default() };
    Ok(vec![Box::new(BackendService::new(port, hello.peer, BODY_BYTES_MAX, handler))])
}

/// Answers a request when the other service has answered.
struct PageHandler {
    /// Each question has the exchange that waits for it as its token.
    hello: HttpClient<Exchange>,
    shown: Counter,
}

impl PageHandler {
    /// Passes on what has come: every question that was sent comes back here exactly once.
    fn answer(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        while let Some((exchange, outcome)) = self.hello.next_outcome(context) {
            let page = match outcome {
                Outcome::Answer(answer) if answer.status == 200 => {
                    let greeting = String::from_utf8_lossy(answer.body);
                    Some(fill(PAGE, &[("greeting", &escape(&greeting))]))
                }
                Outcome::Answer(_) | Outcome::Overdue | Outcome::Lost => None,
            };
            let response = page.as_ref().map_or(TRY_AGAIN, |page| {
                self.shown.increment();
                Response::new(200, "text/html; charset=utf-8", page.as_bytes())
            });
            http.respond(exchange, &response, context);
        }
    }
}

const TRY_AGAIN: Response<'static> = Response::text(503, "the other service does not answer: try again\n");

impl Handler for PageHandler {
    fn routes(&self) -> &'static [Route] {
        &[Route { path: "/", methods: &[Method::Get] }]
    }

    fn handle(&mut self, _: &Request<'_>, exchange: Exchange, context: &mut Context<'_>) -> Answer<'_> {
        match self.hello.get("/greeting", exchange, ANSWER_WITHIN, context) {
            Ok(()) => Answer::Later,
            Err(_) => Answer::Now(TRY_AGAIN),
        }
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        self.hello.explained_readiness()
    }

    fn metrics(&self, exposition: &mut Exposition) {
        exposition.counter("greetings_shown_total", "Greetings that were shown.", self.shown.value());
    }
}

impl Backend for PageHandler {
    const NAME: &'static str = "greeting-page";

    fn is_backend(&self, id: ConnectionId) -> bool {
        self.hello.is(id)
    }

    fn backend_opened(&mut self, id: ConnectionId, context: &mut Context<'_>) {
        self.hello.opened(id, context);
    }

    fn backend_unreachable(&mut self, reason: Unreachable) {
        self.hello.unreachable(reason);
    }

    fn backend_ready(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.answer(http, context);
    }

    fn backend_closed(&mut self, id: ConnectionId, http: &mut HttpServer, context: &mut Context<'_>) {
        self.hello.closed(id);
        self.answer(http, context);
    }

    /// An answer to somebody who has gone goes nowhere.
    fn forget(&mut self, _: Exchange) {}

    fn turn(&mut self, http: &mut HttpServer, context: &mut Context<'_>) {
        self.answer(http, context);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.hello.next_deadline()
    }

    fn report_usage(&self, report: &mut dyn FnMut(Usage)) {
        self.hello.report_usage(report);
    }
}

//! The service: a page with a greeting. It uses no socket, no clock and no operating system: `kernel_app` moves the
//! bytes of its connections, in a unikernel, in a Linux process and in the simulator.
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

use kernel_app::assets::{escape, fill};
use kernel_app::http::{Answer, Exchange, Handler, HttpService, Method, Request, Response, Route};
use kernel_app::metrics::{Counter, Exposition};
use kernel_app::settings::SettingError;
use kernel_app::{Context, Service, Settings};

/// Port of the page unless `PORT` says otherwise.
const PORT_DEFAULT: u16 = 8090;
/// Longest `GREETING`.
const GREETING_BYTES_MAX: usize = 64;
/// Longest request body; nothing here wants one.
const BODY_BYTES_MAX: usize = 1024;

/// The page, where `{greeting}` is filled in.
const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{greeting}</title>\n\
    <h1>{greeting}</h1>\n<p>from service-template</p>\n</html>\n";

/// The program: one service. It is called once, when the program starts.
///
/// # Errors
/// When a setting cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let greeting = settings.text("GREETING", "Hello", GREETING_BYTES_MAX)?;
    let port = settings.port("PORT", PORT_DEFAULT)?;
    let service = HttpService::new("service-template", port, BODY_BYTES_MAX, Greeter::new(greeting));
    Ok(vec![Box::new(service)])
}

/// Answers requests. The server around it answers `/healthz`, `/readyz` and `/metrics`, keeps to the limits, and says
/// 404 or 405 for what is not among the routes.
struct Greeter {
    greeting: String,
    page: String,
    greetings: Counter,
}

impl Greeter {
    fn new(greeting: String) -> Self {
        let page = fill(PAGE, &[("greeting", &escape(&greeting))]);
        Self { greeting, page, greetings: Counter::default() }
    }
}

impl Handler for Greeter {
    fn routes(&self) -> &'static [Route] {
        &[Route { path: "/", methods: &[Method::Get] }, Route { path: "/greeting", methods: &[Method::Get] }]
    }

    fn handle(&mut self, request: &Request<'_>, _: Exchange, _: &mut Context<'_>) -> Answer<'_> {
        self.greetings.increment();
        Answer::Now(match request.path {
            // For other services.
            "/greeting" => Response::text(200, &self.greeting),
            _ => Response::new(200, "text/html; charset=utf-8", self.page.as_bytes()),
        })
    }

    fn readiness(&self) -> Result<(), Cow<'_, str>> {
        Ok(())
    }

    fn metrics(&self, exposition: &mut Exposition) {
        exposition.counter("greetings_total", "Greetings that were given.", self.greetings.value());
    }
}

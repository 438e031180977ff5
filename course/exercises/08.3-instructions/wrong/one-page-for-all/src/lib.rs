//! Exercise 08.3: 500 instructions off a request.
//!
//! A poll shows its options, one of them marked. The page below is right and costs more than it must. Make a request at
//! least 500 instructions cheaper; the page must stay the same to the byte. `service.rs` calls `Poll::new` once and
//! `Poll::page` for each request. Judge it with `cargo course check 8.3`: QEMU counts the instructions of the whole
//! guest from the request to the rest after its answer, so the driver and TCP are in the count.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The poll's page.
pub struct Poll {
    page: String,
}

impl Poll {
    /// A poll with these options: the page is made here, once.
    pub fn new(options: &[&str]) -> Self {
        Self { page: render(options, None) }
    }

    /// The page.
    pub fn page(&mut self, _: Option<usize>) -> &str {
        &self.page
    }
}

/// One page.
fn render(options: &[&str], choice: Option<usize>) -> String {
    let mut page = String::from("<!doctype html><title>poll</title><ul>");
    for (number, option) in options.iter().enumerate() {
        let class = if choice == Some(number) { " class=\"chosen\"" } else { "" };
        page += &format!("<li{class}><a href=\"/?choice={number}\">{}</a></li>", escape(option));
    }
    page + "</ul>"
}

/// A text as HTML shows it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            other => escaped.push(other),
        }
    }
    escaped
}

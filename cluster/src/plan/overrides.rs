//! The command line's changes to a description: the number of instances, ports, and outside servers that replace
//! described services. It changes only the description.

use std::net::Ipv4Addr;

use crate::application::template;
use crate::application::template::Template;
use crate::application::variable;
use crate::application::{Application, PortMapping, Service};
use crate::plan::choices::{Choices, PlanError};
use crate::plan::model::HOST_SEEN_BY_GUESTS;
use wire::postgres::url::Url;

const REDIS_SETTING: &str = "REDIS_URL";
const RESULTS_SETTING: &str = "RESULTS_URL";

/// Applies the choices.
///
/// # Errors
/// When an option does not fit the application.
pub fn apply(application: &mut Application, choices: &Choices) -> Result<(), PlanError> {
    fill_variables(application, choices);
    if let Some(url) = &choices.redis {
        let url = redis_for_guests(url).ok_or_else(|| PlanError::Url {
            option: "--redis",
            value: without_password(url),
            expected: "redis://:password@127.0.0.1:6379/0, of which password and database may be left out",
        })?;
        let stores = stores(application);
        set(application, "--redis", REDIS_SETTING, &url)?;
        remove(application, "--redis", &stores)?;
    }
    if let Some(url) = &choices.results {
        check_database("--results", url)?;
        let scheme = if url.starts_with("postgresql:") { "postgresql" } else { "postgres" };
        let url = url_for_guests(url, scheme).ok_or_else(|| PlanError::Url {
            option: "--results",
            value: without_password(url),
            expected: "postgres://user:password@127.0.0.1:5432/votes, with %20 for a blank and %7B, %7D for braces",
        })?;
        set(application, "--results", RESULTS_SETTING, &url)?;
    }
    check_described(application)?;
    publish(application, choices)?;
    scale(application, choices)
}

/// Puts the variables of the caller in their places.
fn fill_variables(application: &mut Application, choices: &Choices) {
    let values = application.services.values_mut().flat_map(|service| service.environment.values_mut());
    for value in values {
        // Only what is no description's fails here: that was checked when it was read.
        if let Ok(filled) = variable::fill(value, |name| choices.settings.get(name).map(String::as_str)) {
            *value = filled;
        }
    }
}

/// Reads a database's address as the services will: what they refuse is not booted for.
fn check_database(option: &'static str, url: &str) -> Result<(), PlanError> {
    let error = |reason| PlanError::Database { option, value: without_password(url), reason };
    Url::parse(url).map(|_| ()).map_err(error)
}

/// The same for those that the application's description gives.
fn check_described(application: &Application) -> Result<(), PlanError> {
    let urls = application.services.values().filter_map(|service| service.environment.get(RESULTS_SETTING));
    // What is not a database's is the services' to judge, and references are not known yet.
    let is_database = |url: &&String| url.starts_with("postgres") && !url.contains('{');
    urls.filter(is_database).try_for_each(|url| check_database(RESULTS_SETTING, url))
}

/// The services that `REDIS_URL` settings refer to.
fn stores(application: &Application) -> Vec<String> {
    let urls = application.services.values().filter_map(|service| service.environment.get(REDIS_SETTING));
    urls.flat_map(|value| referred(value)).collect()
}

/// Takes services out, which nobody needs then.
fn remove(application: &mut Application, option: &'static str, names: &[String]) -> Result<(), PlanError> {
    application.services.retain(|name, _| !names.contains(name));
    for (name, service) in &mut application.services {
        service.depends_on.retain(|other, _| !names.contains(other));
        for (setting, value) in &service.environment {
            if let Some(service) = referred(value).into_iter().find(|name| names.contains(name)) {
                let (by, setting) = (name.clone(), setting.clone());
                return Err(PlanError::StillNeeded { option, service, by, setting });
            }
        }
    }
    if application.services.is_empty() { Err(PlanError::NothingLeft { option }) } else { Ok(()) }
}

fn referred(value: &str) -> Vec<String> {
    Template::parse(value)
        .map(|template| template.references().map(|(service, _)| service.to_owned()).collect())
        .unwrap_or_default()
}

/// Gives a setting to every service that names it.
fn set(
    application: &mut Application,
    option: &'static str,
    setting: &'static str,
    url: &str,
) -> Result<(), PlanError> {
    let mut is_taken = false;
    for taker in application.services.values_mut().filter_map(|s| s.environment.get_mut(setting)) {
        // In a URL, braces are nothing but braces.
        *taker = template::escape(url);
        is_taken = true;
    }
    if is_taken { Ok(()) } else { Err(PlanError::NobodyTakes { option, setting }) }
}

fn scale(application: &mut Application, choices: &Choices) -> Result<(), PlanError> {
    for (name, &replicas) in &choices.scale {
        let known = application.services.keys().cloned().collect();
        let Some(service) = application.services.get_mut(name) else {
            return Err(PlanError::NoSuchService { option: "--scale", service: name.clone(), known });
        };
        if replicas > service.replicas_max {
            let max = service.replicas_max;
            return Err(PlanError::Scale { service: name.clone(), given: replicas, max });
        }
        service.replicas = replicas;
    }
    let left_out = choices.scale.iter().filter(|(_, replicas)| **replicas == 0);
    let left_out: Vec<String> = left_out.map(|(name, _)| name.clone()).collect();
    remove(application, "--scale", &left_out)
}

fn publish(application: &mut Application, choices: &Choices) -> Result<(), PlanError> {
    for (name, &port) in &choices.publish {
        let known = application.services.keys().cloned().collect();
        let Some(service) = application.services.get_mut(name) else {
            return Err(PlanError::NoSuchService { option: "--publish", service: name.clone(), known });
        };
        if service.ports.is_empty() {
            service.ports.extend(exposed(service));
            service.expose.retain(|port| service.ports[0].guest != *port);
        }
        let Some(mapping) = service.ports.first_mut() else {
            return Err(PlanError::NotPublished { service: name.clone() });
        };
        mapping.host = port;
    }
    check_ports(application)
}

/// Whether no two services want one port of one address; else the second would be told that somebody else has it.
fn check_ports(application: &Application) -> Result<(), PlanError> {
    let published = application.services.iter().filter(|(_, service)| service.replicas > 0);
    let published: Vec<(&String, &PortMapping)> =
        published.flat_map(|(name, service)| service.ports.iter().map(move |port| (name, port))).collect();
    for (place, (one, first)) in published.iter().enumerate() {
        let is_same = |(_, second): &&(&String, &PortMapping)| {
            let [one, other] = [first.address, second.address];
            first.host == second.host && (one == other || one.is_unspecified() || other.is_unspecified())
        };
        if let Some((other, _)) = published[place + 1..].iter().find(is_same) {
            let services = [(*one).clone(), (*other).clone()];
            return Err(PlanError::SamePort { port: first.host, services });
        }
    }
    Ok(())
}

/// The port that a service has for the others, to be published: that of its endpoint, or the first.
fn exposed(service: &Service) -> Option<PortMapping> {
    let endpoint = service.endpoint.as_ref().map(|endpoint| endpoint.port);
    let guest = endpoint.or_else(|| service.expose.first().copied())?;
    Some(PortMapping { address: Ipv4Addr::LOCALHOST.into(), host: guest, guest })
}

/// A Redis's URL as guests have to write it; its path is the number of a database.
fn redis_for_guests(url: &str) -> Option<String> {
    let behind_host = url.rsplit('@').next()?;
    let path = behind_host.trim_start_matches("redis://").split_once('/').map_or("", |(_, path)| path);
    let is_database = path.is_empty() || (path.parse::<u32>().is_ok() && !path.starts_with('+'));
    url_for_guests(url, "redis").filter(|_| is_database)
}

/// A URL as it may be shown.
pub fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://***{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

/// The URL as guests have to write it: the host's loopback is another address to them. `None` when it is
/// no URL of this scheme with a host. Braces are refused: they would read as references. A password may be any text.
fn url_for_guests(url: &str, scheme: &str) -> Option<String> {
    let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
    let is_refused = |c: char| matches!(c, '{' | '}') || (c.is_ascii() && !c.is_ascii_graphic());
    if rest.contains(is_refused) {
        return None;
    }
    // As the services read it: what is before the last `@` is user and password, whatever is in them.
    let (user, place) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
    let (server, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (host, port) = server.split_at(server.rfind(':').unwrap_or(server.len()));
    let host = match host {
        "" => return None,
        "localhost" | "127.0.0.1" => HOST_SEEN_BY_GUESTS,
        other => other,
    };
    let port_is_right = port.is_empty() || port[1..].parse::<u16>().is_ok_and(|port| port != 0);
    (port_is_right && host.is_ascii()).then(|| format!("{scheme}://{user}{host}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_addresses_are_refused_before_any_machine_boots() {
        for (url, reason) in [
            ("postgres://u:secret@h/votes?sslmode=disable", "options such as ?sslmode=disable"),
            ("postgres://h/votes", "names no user"),
            ("postgres://u:secret@h", "names no database"),
        ] {
            let error = check_database("--results", url).expect_err(url).to_string();
            assert!(error.starts_with("--results postgres://") && error.contains(reason), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(check_database("--results", "postgresql://u:p@127.0.0.1:5432/votes").is_ok());
    }

    #[test]
    fn the_hosts_loopback_is_another_address_to_guests() {
        let redis = redis_for_guests;
        assert_eq!(redis("redis://127.0.0.1:6379").as_deref(), Some("redis://10.0.2.2:6379"));
        assert_eq!(redis("redis://localhost").as_deref(), Some("redis://10.0.2.2"));
        assert_eq!(redis("redis://db.example:1/2").as_deref(), Some("redis://db.example:1/2"));
        assert_eq!(redis("redis://:a%2fb@localhost:1/2").as_deref(), Some("redis://:a%2fb@10.0.2.2:1/2"));
        for wrong in ["redis://x/votes", "redis://x/-1", "redis://x/+1", "redis://:p@x/0/1"] {
            assert_eq!(redis(wrong), None, "{wrong}");
        }
        assert_eq!(without_password("redis://:secret@x/votes"), "redis://***@x/votes");
        let results = url_for_guests("postgres://u:p@localhost:5432/votes", "postgres");
        assert_eq!(results.as_deref(), Some("postgres://u:p@10.0.2.2:5432/votes"));
        let results = url_for_guests("postgres://u:p/w@localhost/votes", "postgres");
        assert_eq!(results.as_deref(), Some("postgres://u:p/w@10.0.2.2/votes"));
        let results = url_for_guests("postgres://u:Caf\u{e9}@localhost/votes", "postgres");
        assert_eq!(results.as_deref(), Some("postgres://u:Caf\u{e9}@10.0.2.2/votes"));
        for wrong in [
            "http://x",
            "redis://",
            "redis://x:0",
            "redis://x:y",
            "redis://{store:1}",
            "redis://a b",
            "redis://caf\u{e9}",
        ] {
            assert_eq!(redis(wrong), None, "{wrong}");
        }
    }
}

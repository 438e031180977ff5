//! Rules that concern more than one value of a description: names must exist, ports must differ, a start order must
//! be possible.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::application::description::{
    Application, HEALTH_TIMEOUT_S_MAX, REPLICAS_MAX, RESERVED_SETTINGS, SERVICES_MAX, Service,
    VALUE_BYTES_MAX, VOLUMES_MAX,
};
use crate::application::template::Template;
use crate::application::variable;

/// Longest name of a service or network, in bytes.
const NAME_BYTES_MAX: usize = 40;

/// What is wrong at which key.
pub struct Fault {
    /// The key, outermost first.
    pub path: Vec<String>,
    /// What is wrong and how to mend it.
    pub message: String,
}

type Checked = Result<(), Fault>;

fn fault(path: &[&str], message: impl Into<String>) -> Fault {
    Fault { path: path.iter().map(|&part| part.to_owned()).collect(), message: message.into() }
}

/// Checks all rules of an application; `images` are those that can be built.
pub fn check(application: &Application, images: &[&str]) -> Checked {
    application.check(images)
}

impl Application {
    fn check(&self, images: &[&str]) -> Checked {
        self.check_shape()?;
        for (name, service) in &self.services {
            service.check_alone(name)?;
            service.check_source(name, images)?;
            self.check_names(name, service)?;
            self.check_settings(name, service)?;
        }
        self.check_host_ports()?;
        self.check_volumes()?;
        self.check_order()
    }

    fn check_shape(&self) -> Checked {
        if self.services.is_empty() || self.services.len() > SERVICES_MAX {
            return Err(fault(&["services"], format!("describe 1 to {SERVICES_MAX} services")));
        }
        if let Some(network) = self.networks.keys().find(|name| !is_name(name)) {
            return Err(fault(&["networks", network], name_rule("a network", network)));
        }
        if let Some(volume) = self.volumes.keys().find(|name| !is_name(name)) {
            return Err(fault(&["volumes", volume], name_rule("a volume", volume)));
        }
        Ok(())
    }

    fn check_names(&self, name: &str, service: &Service) -> Checked {
        let here = |key| ["services", name, key];
        if let Some(network) = service.networks.iter().find(|network| !self.networks.contains_key(*network)) {
            let message = format!("there is no network {network:?}: {}", known(&self.networks));
            return Err(fault(&here("networks"), message));
        }
        for other in service.depends_on.keys() {
            let path = ["services", name, "depends_on", other];
            if other == name {
                return Err(fault(&path, "a service cannot wait for itself: remove it"));
            }
            if !self.services.contains_key(other) {
                let message = format!("there is no service {other:?}: {}", known(&self.services));
                return Err(fault(&path, message));
            }
        }
        Ok(())
    }

    fn check_settings(&self, name: &str, service: &Service) -> Checked {
        for (setting, value) in &service.environment {
            let fail = |message: String| Err(fault(&["services", name, "environment", setting], message));
            if !is_setting(setting) {
                return fail("setting names use capital letters, digits and underscores".to_owned());
            }
            if RESERVED_SETTINGS.contains(&setting.as_str()) {
                return fail("is set automatically for each instance: remove it".to_owned());
            }
            if value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
                return fail(format!("give at most {VALUE_BYTES_MAX} bytes without control characters"));
            }
            let filled = match variable::fill(value, |_| None) {
                Ok(filled) => filled,
                Err(error) => return fail(error.to_string()),
            };
            let template = match Template::parse(&filled) {
                Ok(template) => template,
                Err(error) => return fail(error.to_string()),
            };
            for (other, port) in template.references() {
                if let Err(message) = self.check_reference(service, other, port) {
                    return fail(message);
                }
            }
        }
        Ok(())
    }

    fn check_reference(&self, from: &Service, other: &str, port: u16) -> Result<(), String> {
        let Some(target) = self.services.get(other) else {
            return Err(format!("there is no service {other:?}: {}", known(&self.services)));
        };
        if !target.has_port(port) {
            return Err(format!("{other} has no port {port}: add it to `expose` of {other}"));
        }
        if !target.networks.iter().any(|network| from.networks.contains(network)) {
            return Err(format!("{other} shares no network with this service: add both to one network"));
        }
        Ok(())
    }

    fn check_host_ports(&self) -> Checked {
        let mut taken: BTreeMap<u16, (IpAddr, &str)> = BTreeMap::new();
        for (name, service) in &self.services {
            for mapping in &service.ports {
                if let Some((_, other)) = taken.insert(mapping.host, (mapping.address, name)) {
                    let message = format!(
                        "port {} of the host is already published by {other}: give another one",
                        mapping.host
                    );
                    return Err(fault(&["services", name, "ports"], message));
                }
            }
        }
        Ok(())
    }

    /// Each volume is there, and the disk of one service.
    fn check_volumes(&self) -> Checked {
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, service) in &self.services {
            for volume in &service.volumes {
                let fail = |message| Err(fault(&["services", name, "volumes"], message));
                if !self.volumes.contains_key(volume) {
                    return fail(format!("there is no volume {volume:?}: {}", known(&self.volumes)));
                }
                if let Some(other) = taken.insert(volume, name) {
                    return fail(format!(
                        "{volume} is already the disk of {other}: give this service another volume"
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_order(&self) -> Checked {
        let mut done: Vec<&str> = Vec::new();
        loop {
            let ready = |(name, service): &(&String, &Service)| {
                !done.contains(&name.as_str())
                    && service.depends_on.keys().all(|other| done.contains(&other.as_str()))
            };
            match self.services.iter().find(ready) {
                Some((name, _)) => done.push(name),
                None => break,
            }
        }
        match self.services.keys().find(|name| !done.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let circle = self.circle_from(name, &done);
                let message =
                    format!("the services wait for each other ({}): remove one", circle.join(" -> "));
                Err(fault(&["services", circle[0], "depends_on"], message))
            }
        }
    }

    /// The circle that is met when dependencies are followed from a service that cannot start.
    fn circle_from<'a>(&'a self, start: &'a str, done: &[&str]) -> Vec<&'a str> {
        let mut trail = vec![start];
        loop {
            let last = trail[trail.len() - 1];
            let next = self.services.get(last).and_then(|service| {
                service.depends_on.keys().map(String::as_str).find(|other| !done.contains(other))
            });
            let Some(next) = next else { return trail };
            if let Some(at) = trail.iter().position(|name| *name == next) {
                trail.push(next);
                return trail.split_off(at);
            }
            trail.push(next);
        }
    }
}

impl Service {
    /// Whether other services can reach this port of the guest.
    pub fn has_port(&self, guest: u16) -> bool {
        self.expose.contains(&guest) || self.ports.iter().any(|mapping| mapping.guest == guest)
    }

    fn check_alone(&self, name: &str) -> Checked {
        let fail = |key: &str, message: String| Err(fault(&["services", name, key], message));
        if !is_name(name) {
            return Err(fault(&["services", name], name_rule("a service", name)));
        }
        if self.replicas_max == 0 || self.replicas_max > REPLICAS_MAX {
            return fail("replicas_max", number_rule(self.replicas_max, REPLICAS_MAX));
        }
        if self.replicas == 0 || self.replicas > self.replicas_max {
            return fail("replicas", number_rule(self.replicas, self.replicas_max));
        }
        if self.volumes.len() > VOLUMES_MAX {
            return fail("volumes", format!("a machine has {VOLUMES_MAX} disk: list one volume"));
        }
        self.check_guest_ports(name)?;
        self.check_health(name)
    }

    fn check_source(&self, name: &str, images: &[&str]) -> Checked {
        match (&self.image, &self.build) {
            (Some(image), None) if images.contains(&image.as_str()) => Ok(()),
            (Some(image), None) => {
                let images = images.join(", ");
                let message = format!(
                    "there is no image {image:?}: choose one of {images}, or give the folder of a package with `build`"
                );
                Err(fault(&["services", name, "image"], message))
            }
            (None, Some(_)) => Ok(()),
            (Some(_), Some(_)) => {
                Err(fault(&["services", name, "build"], "`image` is given too: keep one of the two"))
            }
            (None, None) => {
                let message = "nothing says what boots: give `image = \"NAME\"` or `build = \"./FOLDER\"`";
                Err(fault(&["services", name], message))
            }
        }
    }

    fn check_guest_ports(&self, name: &str) -> Checked {
        let mut ports: Vec<u16> = self.ports.iter().map(|mapping| mapping.guest).collect();
        for port in &self.expose {
            let message = match port {
                0 => "0 is not a port: give 1 to 65535".to_owned(),
                port if ports.contains(port) => format!("port {port} is listed twice: remove one"),
                _ => String::new(),
            };
            if !message.is_empty() {
                return Err(fault(&["services", name, "expose"], message));
            }
            ports.push(*port);
        }
        match &self.endpoint {
            Some(endpoint) if !ports.contains(&endpoint.port) => {
                let message = format!("port {} is in neither `ports` nor `expose`: add it", endpoint.port);
                Err(fault(&["services", name, "endpoint", "port"], message))
            }
            _ => Ok(()),
        }
    }

    fn check_health(&self, name: &str) -> Checked {
        let fail = |key: &str, message: String| Err(fault(&["services", name, "health", key], message));
        let health = &self.health;
        if !self.has_port(health.port) {
            return fail("port", format!("port {} is in neither `ports` nor `expose`: add it", health.port));
        }
        if !health.path.starts_with('/') || health.path.chars().any(|c| !c.is_ascii_graphic()) {
            return fail("path", format!("{:?} is not a path: give one such as \"/readyz\"", health.path));
        }
        if health.timeout_s == 0 || health.timeout_s > HEALTH_TIMEOUT_S_MAX {
            let given = health.timeout_s;
            let message = format!("{given} cannot be used: give 1 to {HEALTH_TIMEOUT_S_MAX} seconds");
            return fail("timeout_s", message);
        }
        Ok(())
    }
}

fn known<V>(names: &BTreeMap<String, V>) -> String {
    if names.is_empty() {
        return "none is described".to_owned();
    }
    format!("choose one of {}", names.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
}

fn name_rule(what: &str, name: &str) -> String {
    format!(
        "{name:?} cannot name {what}: use 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens; begin with a letter and do not end with a hyphen"
    )
}

fn number_rule(number: u16, max: u16) -> String {
    format!("{number} cannot be used: give 1 to {max}")
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(inner)
}

fn is_setting(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

//! The whole application in one image: vote, worker, result and store on one event loop.
//!
//! The services are unchanged: their bytes move through memory instead of a network.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};
use store_service::Store;

/// Where the services find the store when no other one is named.
const STORE_IN_IMAGE: &str = "memory://store";
/// Memory of the store's data unless `MAXMEMORY` says otherwise: the image is meant for a machine of
/// 32 MiB, which four services share.
const STORE_MEMORY_DEFAULT: &str = "8mb";
/// Port of the result page unless `RESULT_PORT` says otherwise.
const RESULT_PORT_DEFAULT: u16 = 8081;
/// Port of the worker's health and metrics unless `WORKER_PORT` says otherwise.
const WORKER_PORT_DEFAULT: u16 = 8082;

/// The program: the four services, or three when `REDIS_URL` names a store elsewhere.
///
/// `PORT` is the vote page's, `RESULT_PORT` the result page's; `WORKER_PORT` and `HEALTH_PORT` are
/// where worker and store serve health and metrics, and `VOTE_HEALTH_PORT` and `RESULT_HEALTH_PORT`, where the pages'
/// metrics are when they are not for everybody. Everything else is as in the services alone.
///
/// # Errors
/// The setting that cannot be used.
pub fn program(settings: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let url = settings.get("REDIS_URL").unwrap_or(STORE_IN_IMAGE);
    let settings = settings.with("REDIS_URL", url);
    let on_port = |port: u16| settings.with("PORT", &port.to_string());
    // `HEALTH_PORT` is the store's.
    let health =
        |settings: &Settings, name| settings.with("HEALTH_PORT", settings.get(name).unwrap_or_default());

    let mut services = vote_service::program(&health(&settings, "VOTE_HEALTH_PORT"))?;
    services.extend(worker::program(&on_port(settings.port("WORKER_PORT", WORKER_PORT_DEFAULT)?))?);
    let result = on_port(settings.port("RESULT_PORT", RESULT_PORT_DEFAULT)?);
    services.extend(result_service::program(&health(&result, "RESULT_HEALTH_PORT"))?);
    if url == STORE_IN_IMAGE {
        let memory = settings.get("MAXMEMORY").unwrap_or(STORE_MEMORY_DEFAULT);
        // Nobody else can reach it, so a password would only lock the services out.
        let settings = settings.with("PORT", "").with("REQUIREPASS", "").with("MAXMEMORY", memory);
        services.push(Box::new(Store::new(&settings)?.without_port()));
    }
    Ok(services)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_app::Target;

    fn endpoints(pairs: &[(&str, &str)]) -> Vec<(&'static str, Vec<u16>, Option<Target>)> {
        let services = program(&Settings::from_pairs(pairs.iter().copied())).expect("usable settings");
        let endpoints = |service: Box<dyn Service>| {
            let endpoints = service.endpoints();
            let ports = endpoints.listeners.iter().map(|listener| listener.port).collect();
            (service.name(), ports, endpoints.peers.into_iter().next().map(|peer| peer.target))
        };
        services.into_iter().map(endpoints).collect()
    }

    #[test]
    fn the_store_is_met_through_memory_only() {
        let store = Target::Memory { service: "store".to_string(), listener: "resp" };
        let expected = [
            ("vote", [8080].to_vec(), Some(store.clone())),
            ("worker", [8082].to_vec(), Some(store.clone())),
            ("result", [8081].to_vec(), Some(store)),
            ("store", [0, 8083].to_vec(), None),
        ];
        assert_eq!(endpoints(&[]), expected);
    }

    #[test]
    fn every_port_can_be_chosen() {
        let settings = [("PORT", "80"), ("RESULT_PORT", "81"), ("WORKER_PORT", "82"), ("HEALTH_PORT", "83")];
        let ports: Vec<_> = endpoints(&settings).into_iter().map(|(_, ports, _)| ports).collect();
        assert_eq!(ports, [[80].to_vec(), [82].to_vec(), [81].to_vec(), [0, 83].to_vec()]);
        let metrics = [("VOTE_HEALTH_PORT", "90"), ("RESULT_HEALTH_PORT", "91")];
        let settings = [&settings[..], &metrics].concat();
        let ports: Vec<_> = endpoints(&settings).into_iter().map(|(_, ports, _)| ports).collect();
        assert_eq!(ports, [[80, 90].to_vec(), [82].to_vec(), [81, 91].to_vec(), [0, 83].to_vec()]);
        let error = program(&Settings::from_pairs([("RESULT_PORT", "x")])).err().expect("no port");
        assert_eq!(error.name, "RESULT_PORT");
    }

    #[test]
    fn a_store_elsewhere_replaces_the_one_in_the_image() {
        let services = endpoints(&[("REDIS_URL", "redis://10.0.2.2:6379")]);
        assert_eq!(services.len(), 3);
        let elsewhere = Target::Host { host: "10.0.2.2".to_string(), port: 6379 };
        assert!(services.into_iter().all(|(_, _, target)| target == Some(elsewhere.clone())));
    }
}

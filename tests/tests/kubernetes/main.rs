//! What `deploy/kubernetes` describes, as `kubectl` renders it: each document is one that Kubernetes 1.34 takes, the
//! documents fit together, and they are what the services need.
//!
//! Starts no cluster. Documents of Kubernetes itself are judged by its schemas, which lie in a package of PyPI; those
//! of KubeVirt and of Prometheus' operator by the list of fields in `fields.rs`, which is ours.

mod documents;
mod fields;
mod guests;
mod network;
mod reachability;
mod rendered;
mod restricted;
mod security;
mod selector;
mod services;
mod settings;
mod workload;
mod workloads;

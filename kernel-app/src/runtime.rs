//! The event loop's turn: network events to services, services' bytes to the network.

//! From an instance of a plan to the command that runs it. `image_build::vm` makes the command line itself.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::application::template::Template;
use crate::network;
use crate::network::ports::Ports;
use crate::plan::{Data, HOST_SEEN_BY_GUESTS, Instance, Net, Plan};
use crate::state::debugger::socket_name;
use image_build::vm::command;
use image_build::vm::command_line::CommandLine;
use image_build::vm::machine::{Forward, Launch, Network, Platform};
use image_build::vm::serial_line::TIME_SERVER;
use image_build::vm::vmm::Feature;

/// The command that runs an instance. All ports of the plan are known by now.
///
/// # Errors
/// When the plan lacks the image, or the VMM cannot run it with these settings.
pub fn command(plan: &Plan, instance: &Instance, ports: &Ports) -> Result<Command> {
    let Some(folder) = ports.private() else {
        let network = user_network(instance, ports);
        return command::command(&launch(plan, instance, network, environment(plan, instance, ports)?)?);
    };
    let mut launch = launch_on_own(plan, instance)?;
    // Whatever the VMM is started with goes with the network.
    launch.folder = folder.to_owned();
    Ok(network::plugged_in(command::command(&launch)?, plan.network.net, folder))
}

/// Whether the VMM can run the instances of a plan with their settings, as far as these are known before the ports.
///
/// # Errors
/// When it cannot run one.
pub fn check(plan: &Plan) -> Result<()> {
    if plan.network.net == Net::User {
        return Ok(());
    }
    plan.instances.iter().try_for_each(|instance| command::check(&launch_on_own(plan, instance)?))
}

/// An instance on a network of the application's own.
fn launch_on_own(plan: &Plan, instance: &Instance) -> Result<Launch> {
    let card = network::card(plan, instance);
    let card = card.with_context(|| format!("{} is not of the plan", instance.name))?;
    launch(plan, instance, card, network::environment(plan, instance)?)
}

fn launch(
    plan: &Plan,
    instance: &Instance,
    network: Network,
    environment: Vec<(String, String)>,
) -> Result<Launch> {
    let image = plan
        .images
        .get(&instance.source.to_string())
        .with_context(|| format!("there is no image of {}", instance.source))?;
    let Platform { vmm, program, machine, accelerator, sandbox, shares_queues: _ } = &plan.platform;
    let file = vmm.image_kind().choose(&image.path, &image.program);
    let mut launch = Launch::new(&instance.name, file.clone(), *machine, *accelerator);
    launch.vmm = *vmm;
    launch.program.clone_from(program);
    launch.memory_mib = instance.memory_mib;
    launch.sandbox = *sandbox;
    launch.network = network;
    let has_debugger = vmm.lacks(Feature::Debugger).is_none();
    launch.debugger = has_debugger.then(|| socket_name(&instance.name).into());
    launch.command_line = CommandLine::from_environment(environment);
    if vmm.lacks(Feature::SerialInput).is_none() {
        launch.command_line.environment.insert(TIME_SERVER.0.to_owned(), TIME_SERVER.1.to_owned());
    }
    if let Data::OnDisk(image) = &instance.data {
        launch.disks = vec![image.path.clone()];
    }
    Ok(launch)
}

fn user_network(instance: &Instance, ports: &Ports) -> Network {
    let forwards = instance.ports.iter().filter_map(|port| {
        // Of IPv6 there is none on this network: see `network::check`.
        let SocketAddr::V4(host) = ports.address(&instance.name, port.guest)? else { return None };
        Some(Forward { host, guest_port: port.guest })
    });
    let outgoing = instance.environment.values().any(|value| names_a_server(value));
    Network::User { forwards: forwards.collect(), outgoing, range: None }
}

/// Whether a setting names something to connect to: another service, or a URL. A service without any
/// answers, and has nowhere to go.
fn names_a_server(value: &str) -> bool {
    value.contains("://") || Template::parse(value).is_ok_and(|value| value.references().next().is_some())
}

/// The settings of an instance with every reference replaced by the address that a guest can use.
fn environment(plan: &Plan, instance: &Instance, ports: &Ports) -> Result<Vec<(String, String)>> {
    let address = |service: &str, guest: u16| {
        let others: Vec<&Instance> = plan.instances.iter().filter(|other| other.service == service).collect();
        // The instances of one service share the instances of the other evenly.
        let other = others.get(usize::from(instance.index) % others.len().max(1))?;
        let host = ports.address(&other.name, guest)?;
        Some(format!("{HOST_SEEN_BY_GUESTS}:{}", host.port()))
    };
    let mut settings = Vec::new();
    for (setting, value) in &instance.environment {
        let filled = Template::parse(value)?.fill(address);
        ensure!(filled.is_some(), "{setting} of {} refers to a service that does not run", instance.name);
        settings.extend(filled.map(|filled| (setting.clone(), filled)));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::application::Application;
    use crate::plan::{Choices, Draft, Image};

    #[test]
    fn a_command_forwards_ports_and_names_the_addresses_of_others() {
        let text = r#"
            name = "test"
            networks = { n = {} }
            [services.store]
            image = "img"
            memory = "16MiB"
            networks = ["n"]
            expose = [6379]
            health = { port = 6379 }
            [services.web]
            image = "img"
            memory = "24MiB"
            networks = ["n"]
            expose = [80]
            health = { port = 80 }
            environment = { REDIS_URL = "redis://{store:6379}", TITLE = "Cats & Dogs" }
        "#;
        let application = Application::parse("t.toml", text, &["img"]).expect("a description");
        let draft = Draft::new(application, &Choices::default()).expect("a plan");
        let mut plan = draft.complete(crate::plan::draft::tests::platform(), BTreeMap::new());
        let ports = Ports::reserve(&plan.instances, None).expect("free ports");
        assert!(command(&plan, &plan.instances[1], &ports).is_err(), "no image yet");
        let image = Image { path: "/i/img".into(), bytes: 1, program: "/i/elf".into() };
        plan.images.insert("img".to_owned(), image);
        let made = command(&plan, &plan.instances[1], &ports).expect("a command");
        let words = |command: &Command| -> Vec<String> {
            command.get_args().map(|word| word.to_str().expect("text").to_owned()).collect()
        };
        let words_of_store = words(&command(&plan, &plan.instances[0], &ports).expect("a command"));
        assert!(words_of_store.iter().any(|word| word.starts_with("user,id=net0,restrict=on,")));
        let words = words(&made);
        assert!(
            !words.iter().any(|word| word.contains("restrict")) && words.contains(&"-sandbox".to_owned())
        );
        let port = |instance, guest| ports.address(instance, guest).expect("reserved").port();
        let redis = format!("env=REDIS_URL=redis://10.0.2.2:{}", port("store-1", 6379));
        let line = words.iter().find(|word| word.contains("env=")).expect("settings");
        let settings = shell_words::split(line).expect("quoted");
        for expected in
            [redis.as_str(), "env=TITLE=Cats & Dogs", "env=INSTANCE=web-1", "env=GATEWAY=10.0.2.2"]
        {
            assert!(settings.iter().any(|setting| setting == expected), "{expected}: {line}");
        }
        let forward = format!("hostfwd=tcp:127.0.0.1:{}-:80", port("web-1", 80));
        assert!(words.iter().any(|word| word.contains(&forward)), "{words:?}");
        assert!(words.contains(&"24M".to_owned()));
    }
}

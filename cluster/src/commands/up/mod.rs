//! `cargo up`: sets up and builds what is missing, lets a supervisor start the application, and shows its progress.
//! The supervisor owns everything that runs, so this process may end at any time.

mod environment;
mod session;
mod supervisor_process;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use wire::postgres::url::PORT_DEFAULT;

use crate::commands::description;
use crate::commands::options::UpOptions;
use crate::network;
use crate::plan::overrides::without_password;
use crate::plan::{Data, Draft, Image, NetworkPlan, Plan};
use crate::state::run_dir::RunDir;
use crate::supervisor::{disks, launch};
use crate::terminal::interrupt::Interrupts;
use crate::terminal::style::Style;
use crate::terminal::summary::summary;
use image_build::image;
use image_build::tool::workspace::Workspace;
use image_build::vm::refusal;
use image_build::vm::select::Wanted;
use image_build::vm::vmm::{Feature, Vmm};

/// The port of a Redis whose URL names none.
const REDIS_PORT: u16 = 6379;
/// How long a server of this host may take to be there.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// Boots the application. It returns when the application is up and goes on alone, or has ended.
///
/// # Errors
/// When anything is wrong; then nothing runs that did not run before.
pub fn up(workspace: &Workspace, run_dir: &RunDir, options: &UpOptions) -> Result<ExitCode> {
    let interrupts = Interrupts::catch()?;
    let started = start(workspace, run_dir, options, &interrupts).inspect_err(|_| Interrupts::settle())?;
    match started {
        Some(front) => front.watch(options.detach),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Starts the application; none when it is up already, which is said.
fn start<'a>(
    workspace: &Workspace,
    run_dir: &'a RunDir,
    options: &UpOptions,
    interrupts: &Interrupts,
) -> Result<Option<session::UpSession<'a>>> {
    let mut choices = options.choices()?;
    let description = description::find(workspace, options.file.as_deref())?;
    let application = description::read(workspace, &description)?;
    choices.settings = environment::read(description.parent().unwrap_or(&workspace.root), &application)?;
    let wanted = options.wanted(application.vmm);
    let network = options.network(wanted.vmm)?;
    let draft = Draft::new(application, &choices)?;
    check_machines(wanted.vmm, &draft)?;
    wanted.check(workspace)?;
    network::check(network.net, wanted.vmm, &draft.instances)?;
    check_servers(options)?;
    // A port or a disk that is taken is found before minutes go into a build. Ours may be taken by what
    // is up.
    if run_dir.try_lock()?.is_some() {
        network::reserve_ports(network.net, &draft.instances, run_dir.path())?;
        options.pcap.as_deref().map(network::create).transpose()?;
        disks::claim(&draft.instances)?;
    }
    let plan = prepare(workspace, (&wanted, network), draft)?;
    if let Some(state) = run_dir.read_state()?.filter(|state| state.supervisor.runs()) {
        if state.up && state.plan == plan {
            let shown = summary(&state, None, Style::of_output());
            say!("{shown}\nIt was up already, with these images and options.")?;
            return Ok(None);
        }
        bail!(
            "{} is running already, {}: stop it first with `cargo down`",
            plan.application,
            difference(&state.plan, &plan)
        );
    }
    session::UpSession::start(run_dir, plan, interrupts).map(Some)
}

/// In what the plan that runs differs from the one that is asked for.
fn difference(running: &Plan, asked: &Plan) -> &'static str {
    match () {
        () if running.instances != asked.instances => "with other instances or settings",
        () if running.network != asked.network => "on another network",
        () if running.platform != asked.platform => "on another VMM, machine or accelerator",
        () if running.images != asked.images => "with images that have been built anew since",
        () => "and is still starting",
    }
}

/// Whether a VMM can make these machines, as far as that is known before they are built.
fn check_machines(vmm: Vmm, draft: &Draft) -> Result<()> {
    for instance in &draft.instances {
        if matches!(instance.data, Data::OnDisk(_)) {
            refusal::require(vmm, Feature::Disk, "--data")?;
        }
        refusal::check_memory(vmm, &instance.name, instance.memory_mib)?;
    }
    Ok(())
}

/// Whether the servers of this host that take a service's place are there.
fn check_servers(options: &UpOptions) -> Result<()> {
    for (option, url, port, instead) in [
        ("--redis", &options.redis, REDIS_PORT, "use the store"),
        ("--results", &options.results, PORT_DEFAULT, "keep results in the store"),
    ] {
        let Some(url) = url else { continue };
        check_server(url, port).with_context(|| {
            let url = without_password(url);
            format!("{option} {url}: nothing listens there: start it, or leave the option out to {instead}")
        })?;
    }
    Ok(())
}

/// Whether a server on this host is there: else all services would wait for it until their time is over.
/// The URL has been checked already; one of another host is for the guests to reach.
fn check_server(url: &str, port_default: u16) -> Result<()> {
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = place.rsplit('@').next().unwrap_or_default();
    let server = place.split('/').next().unwrap_or_default();
    let (host, port) =
        server.rsplit_once(':').map_or((server, Ok(port_default)), |(host, port)| (host, port.parse()));
    if !matches!(host, "localhost" | "127.0.0.1") {
        return Ok(());
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port?));
    Ok(TcpStream::connect_timeout(&address, SERVER_TIMEOUT).map(drop)?)
}

/// Sets up and builds what is missing.
fn prepare(workspace: &Workspace, on: (&Wanted, NetworkPlan), draft: Draft) -> Result<Plan> {
    let (wanted, network) = on;
    image::set_up(workspace)?;
    let platform = wanted.platform(workspace)?;
    let sources = draft.sources();
    let mut images = BTreeMap::new();
    for (source, built) in sources.iter().zip(image::build_sources(workspace, &sources)?) {
        let image::Image { path, bytes, program, .. } = built;
        images.insert(source.to_string(), Image { path, bytes, program });
    }
    let mut plan = draft.complete(platform, images);
    plan.network = network;
    launch::check(&plan)?;
    Ok(plan)
}

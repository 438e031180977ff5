//! Descriptions that must be refused, and how the refusal reads.

use std::path::Path;

use image_build::image::Source;

use crate::application::*;

const IMAGES: [&str; 2] = ["store-service", "web"];

const GOOD: &str = r#"
name = "shop"
[networks]
back = {}
[services.store]
image = "store-service"
memory = "1GiB"
networks = ["back"]
expose = [6379, 8083]
health = { port = 8083 }
endpoint = { scheme = "redis", port = 6379 }
[services.web]
image = "web"
memory = "16MiB"
networks = ["back"]
ports = ["0.0.0.0:8080:80"]
depends_on = { store = "healthy" }
[services.web.health]
port = 80
timeout_s = 5
[services.web.environment]
REDIS_URL = "redis://{store:6379}"
"#;

#[test]
fn a_good_description_is_read_with_its_defaults() {
    let application = Application::parse("a.toml", GOOD, &IMAGES).expect("good");
    assert_eq!(application.vmm, None);
    let store = &application.services["store"];
    assert_eq!((store.memory.mib, store.replicas), (1024, 1));
    assert_eq!((store.health.path.as_str(), store.health.timeout_s), ("/readyz", 60));
    let web = &application.services["web"];
    assert_eq!(web.ports[0].to_string(), "0.0.0.0:8080:80");
    assert_eq!(web.depends_on["store"], Condition::Healthy);
}

#[test]
fn an_application_names_what_makes_its_machines() {
    let text = GOOD.replacen("name =", "vmm = \"cloud-hypervisor\"\nname =", 1);
    let application = Application::parse("a.toml", &text, &IMAGES).expect("good");
    assert_eq!(application.vmm, Some(image_build::vm::vmm::Vmm::CloudHypervisor));
    let refusal = refusal("name =", "vmm = \"xen\"\nname =");
    assert!(refusal.starts_with("a.toml:2: vmm: ") && refusal.contains("`firecracker`"), "{refusal}");
}

/// Replaces `from` by `to` in the good description and gives the error.
fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    Application::parse("a.toml", &text, &IMAGES).expect_err(to).to_string()
}

#[test]
fn refusals_name_file_line_key_and_remedy() {
    assert_eq!(
        refusal("\"1GiB\"", "\"1G\""),
        "a.toml:7: services.store.memory: \"1G\" is not a memory size: give 4MiB to 2048MiB, such as \"32MiB\""
    );
    assert_eq!(
        refusal("{ store = \"healthy\" }", "{ sture = \"healthy\" }"),
        "a.toml:17: services.web.depends_on.sture: there is no service \"sture\": choose one of store, web"
    );
    assert_eq!(
        refusal("image = \"web\"", "image = \"Web!\""),
        "a.toml:13: services.web.image: there is no image \"Web!\": choose one of store-service, web, or give the folder of a package with `build`"
    );
    assert_eq!(
        refusal("timeout_s = 5", "timeout_s = 0"),
        "a.toml:20: services.web.health.timeout_s: 0 cannot be used: give 1 to 600 seconds"
    );
}

#[test]
fn unknown_and_missing_keys_are_named_with_their_line() {
    let unknown = refusal("image = \"web\"", "imaeg = \"web\"");
    assert!(unknown.starts_with("a.toml:13: services.web.imaeg: unknown field `imaeg`"), "{unknown}");
    let missing = refusal("memory = \"16MiB\"\n", "");
    assert_eq!(missing, "a.toml:12: services.web: missing field `memory`");
    let broken = refusal("expose = [6379, 8083]", "expose = [6379, 8083");
    assert!(broken.starts_with("a.toml:10: "), "{broken}");
    assert!(!broken.contains('\n'), "{broken}");
}

#[test]
fn ports_must_exist_and_differ() {
    let cases = [
        ("port = 80\n", "port = 81\n", "a.toml:19: services.web.health.port: port 81 is in neither"),
        (
            "expose = [6379, 8083]",
            "expose = [6379, 6379, 8083]",
            "services.store.expose: port 6379 is listed",
        ),
        (
            "\"0.0.0.0:8080:80\"",
            "\"8080:80\", \"8080:81\"",
            "port 8080 of the host is already published by web",
        ),
        ("\"0.0.0.0:8080:80\"", "\"8080\"", "a.toml:16: services.web.ports: \"8080\" publishes no port"),
        ("{store:6379}", "{store:6380}", "environment.REDIS_URL: store has no port 6380"),
        ("port = 6379 }", "port = 1 }", "services.store.endpoint.port: port 1 is in neither"),
    ];
    for (from, to, expected) in cases {
        let error = refusal(from, to);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn settings_are_checked() {
    let cases = [
        ("REDIS_URL", "redis_url", "services.web.environment.redis_url: setting names use capital letters"),
        ("REDIS_URL", "INSTANCE", "a.toml:22: services.web.environment.INSTANCE: is set automatically"),
        (
            "redis://{store",
            "redis://${user}@{store",
            "\"${user}@{store:6379}\" is not a variable: write ${NAME}",
        ),
        ("{store:6379}", "{store}", "\"{store}\" is not a reference: write {service:port}"),
    ];
    for (from, to, expected) in cases {
        let error = refusal(from, to);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_service_is_an_image_or_a_folder_to_build() {
    let text = GOOD.replacen("image = \"web\"", "build = \"./web\"", 1);
    let mut application = Application::parse("a.toml", &text, &IMAGES).expect("good");
    application.locate_builds(Path::new("/apps"));
    assert_eq!(application.services["web"].source(), Source::Folder("/apps/web".into()));
    assert_eq!(application.services["store"].source(), Source::Package("store-service".to_owned()));
    let both = refusal("image = \"web\"", "image = \"web\"\nbuild = \"./web\"");
    assert!(both.starts_with("a.toml:14: services.web.build: `image` is given too"), "{both}");
    let neither = refusal("image = \"web\"\n", "");
    assert!(neither.starts_with("a.toml:12: services.web: nothing says what boots"), "{neither}");
}

#[test]
fn services_without_networks_share_the_default_one() {
    let text = GOOD.replace("networks = [\"back\"]\n", "");
    let application = Application::parse("a.toml", &text, &IMAGES).expect("they can name each other");
    let networks: Vec<&[String]> = application.services.values().map(|it| it.networks.as_slice()).collect();
    assert_eq!(networks, [["default"], ["default"]]);
    assert!(application.networks.contains_key("default"));
}

#[test]
fn a_service_with_state_is_not_multiplied() {
    let error = refusal("image = \"web\"", "image = \"web\"\nreplicas_max = 1\nreplicas = 2");
    assert!(error.contains("services.web.replicas: 2 cannot be used: give 1 to 1"), "{error}");
}

#[test]
fn services_that_share_no_network_cannot_refer_to_each_other() {
    let error = refusal("networks = [\"back\"]\nports", "ports");
    assert!(error.contains("store shares no network with this service"), "{error}");
    let error = refusal("networks = [\"back\"]\nports", "networks = [\"front\"]\nports");
    assert!(error.contains("there is no network \"front\": choose one of back"), "{error}");
}

#[test]
fn a_circle_of_dependencies_is_spelled_out() {
    let error = refusal("[services.store]\n", "[services.store]\ndepends_on = { web = \"started\" }\n");
    let expected =
        "services.store.depends_on: the services wait for each other (store -> web -> store): remove one";
    assert!(error.contains(expected), "{error}");
    let error = refusal("{ store = \"healthy\" }", "{ web = \"healthy\" }");
    assert!(error.contains("a service cannot wait for itself"), "{error}");
}

#[test]
fn a_volume_is_the_disk_of_one_service() {
    let with = |volumes: &str| {
        let store = format!("image = \"store-service\"\nvolumes = {volumes}");
        GOOD.replacen("[networks]", "[volumes.data]\nsize = \"1GiB\"\n[networks]", 1).replacen(
            "image = \"store-service\"",
            &store,
            1,
        )
    };
    let application = Application::parse("a.toml", &with("[\"data\"]"), &IMAGES).expect("good");
    assert_eq!(application.volumes["data"].size.mib, 1024);
    assert_eq!(application.services["store"].volumes, ["data"]);
    let both = with("[\"data\"]").replacen("image = \"web\"", "image = \"web\"\nvolumes = [\"data\"]", 1);
    let cases = [
        (with("[\"date\"]"), "services.store.volumes: there is no volume \"date\": choose one of data"),
        (with("[\"data\", \"data\"]"), "services.store.volumes: a machine has 1 disk"),
        (both, "services.web.volumes: data is already the disk of store"),
        (
            with("[\"data\"]").replacen("1GiB\"\n", "4MiB\"\n", 1),
            "volumes.data.size: \"4MiB\" is not a disk size",
        ),
    ];
    for (text, expected) in cases {
        let error = Application::parse("a.toml", &text, &IMAGES).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_example_application_builds_packages_that_are_there() {
    let text = include_str!("../../../examples/greeting.toml");
    let mut application = Application::parse("greeting.toml", text, &[]).expect("good");
    application.locate_builds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples"));
    for service in application.services.values() {
        let Source::Folder(folder) = service.source() else { panic!("{service:?} is no folder") };
        assert!(folder.join("Cargo.toml").is_file(), "{}", folder.display());
    }
}

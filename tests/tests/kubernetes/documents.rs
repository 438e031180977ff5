//! Each document is one that Kubernetes takes.

use serde_json::{Value, json};

use crate::fields;
use crate::rendered::{Manifests, judge, monitoring, overlay, overlays};

fn expect_valid(name: &str, manifests: &Manifests) {
    for judged in &manifests.0 {
        let document = &judged.document;
        let what = format!("{name}: {} {}", document["kind"], document["metadata"]["name"]);
        assert_eq!(judged.fault, None, "{what}");
        if !judged.has_schema {
            assert_eq!(fields::faults(document), [""; 0], "{what}");
        }
    }
}

/// Why a document is refused, if it is.
fn fault(document: &Value) -> Option<String> {
    let judged = judge(&document.to_string()).0.remove(0);
    assert!(judged.has_schema, "{document}");
    judged.fault
}

#[test]
fn every_document_is_one_that_kubernetes_takes() {
    for (name, manifests) in overlays() {
        expect_valid(name, manifests);
    }
    expect_valid("monitoring", monitoring());
}

#[test]
fn a_misspelt_field_a_wrong_type_and_an_unknown_kind_are_refused() {
    let vote = overlay("containers").find("Deployment", "vote").expect("a deployment");
    assert_eq!(fault(vote), None);
    let mut misspelt = vote.clone();
    let container = &mut misspelt["spec"]["template"]["spec"]["containers"][0];
    container["readynessProbe"] = container["readinessProbe"].take();
    let told = fault(&misspelt).expect("it is refused");
    assert!(told.starts_with("spec.template.spec.containers.0") && told.contains("readynessProbe"), "{told}");
    let mut wrong = vote.clone();
    wrong["spec"]["template"]["spec"]["enableServiceLinks"] = json!("false");
    assert!(fault(&wrong).expect("it is refused").starts_with("spec.template.spec.enableServiceLinks"));
}

#[test]
fn what_is_not_in_our_list_of_fields_is_refused() {
    let machine = overlay("kubevirt").find("VirtualMachine", "store").expect("a machine");
    assert_eq!(fields::faults(machine), [""; 0]);
    let mut wrong = machine.clone();
    let boot = &mut wrong["spec"]["template"]["spec"]["domain"]["firmware"]["kernelBoot"];
    boot["kernelArguments"] = json!("a");
    wrong["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!("20");
    wrong["spec"]["template"]["spec"]["networks"] = json!([{"name": "pod", "pod": {"a": "b"}}]);
    let expected = [
        r#"spec.template.spec.domain.firmware.kernelBoot.kernelArguments: "a""#,
        r#"spec.template.spec.networks[].pod.a: "b""#,
        r#"spec.template.spec.terminationGracePeriodSeconds: "20""#,
    ];
    assert_eq!(fields::faults(&wrong), expected);
    let other = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachinePool"});
    assert_eq!(fields::faults(&other), [r#""kubevirt.io/v1" "VirtualMachinePool" is not listed"#]);
}

#[test]
fn everything_is_in_one_namespace_and_named_once() {
    for (name, manifests) in
        overlays().iter().map(|(name, found)| (name.as_str(), found)).chain([("monitoring", monitoring())])
    {
        let mut taken = Vec::new();
        for document in manifests.documents() {
            let id = (&document["kind"], &document["metadata"]["name"]);
            assert!(!taken.contains(&id), "{name}: {id:?} is there twice");
            taken.push(id);
            let place = &document["metadata"]["namespace"];
            assert_eq!(place == "voting-app", document["kind"] != "Namespace", "{name}: {id:?}");
            assert_eq!(
                document["metadata"]["labels"]["app.kubernetes.io/part-of"], "voting-app",
                "{name}: {id:?}"
            );
        }
    }
}

//! Label selectors, as Kubernetes applies them.

use serde_json::Value;

/// Whether a selector of a document takes these labels. An empty one takes all.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.into_iter().all(|(key, value)| labels[key] == *value)
        && expressions.into_iter().all(|expression| holds(expression, labels))
}

/// Whether plain labels, as a Service has them, are among these.
pub fn has_all(wanted: &Value, labels: &Value) -> bool {
    wanted.as_object().expect("labels").iter().all(|(key, value)| labels[key] == *value)
}

fn holds(expression: &Value, labels: &Value) -> bool {
    let label = &labels[expression["key"].as_str().expect("a key")];
    let is_listed = || expression["values"].as_array().expect("values").contains(label);
    match expression["operator"].as_str().expect("an operator") {
        "In" => !label.is_null() && is_listed(),
        "NotIn" => label.is_null() || !is_listed(),
        "Exists" => !label.is_null(),
        "DoesNotExist" => label.is_null(),
        other => panic!("{other} is no operator of a selector"),
    }
}

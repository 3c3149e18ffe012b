//! The operator as the kubelet would start it from a Deployment.

use serde_json::Value;

use crate::harness::operator::Operator;
use crate::harness::world::World;

/// Starts the operator with the arguments and the ServiceAccount of a Deployment; it listens on loopback.
pub(crate) async fn start(world: &mut World, deployment: &Value) -> Operator {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let home = text(&deployment["metadata"]["namespace"]);
    let pod = &deployment["spec"]["template"]["spec"];
    world.home = home.clone().leak();
    world.account = text(&pod["serviceAccountName"]).leak();
    let [container] = pod["containers"].as_array().unwrap().as_slice() else { panic!("one container") };
    assert!(container.get("command").is_none(), "the image says what is run");
    let mut variables = Vec::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let value = match variable.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) {
            Some("metadata.namespace") => home.clone(),
            Some(other) => panic!("nothing is known of {other}"),
            None => text(&variable["value"]),
        };
        variables.push((text(&variable["name"]), value));
    }
    let arguments: Vec<String> = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| {
            let expand =
                |argument: String, (name, value): &(String, String)| argument.replace(&format!("$({name})"), value);
            let expanded = variables.iter().fold(text(argument), expand);
            assert!(!expanded.contains("$("), "{expanded}");
            // Other addresses than the pod's own, and ports that nobody has.
            match expanded.split_once("=[::]:") {
                Some((flag, _)) => format!("{flag}=127.0.0.1:0"),
                None => expanded,
            }
        })
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let at = (world.plane.info("server"), world.plane.info("aws"));
    Operator::start_exactly(world, at, &arguments, &variables).await
}

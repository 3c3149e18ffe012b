//! The operator as the kubelet would start it from a Deployment.

use serde_json::Value;

use crate::harness::operator::Operator;
use crate::harness::world::World;

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Starts the operator with the arguments and the ServiceAccount of a Deployment; it listens on loopback.
pub(crate) async fn start(world: &mut World, deployment: &Value) -> Operator {
    world.home = text(&deployment["metadata"]["namespace"]).leak();
    world.account = text(&deployment["spec"]["template"]["spec"]["serviceAccountName"]).leak();
    at_home(world, deployment).await
}

/// The same, where the world says already who the operator is.
pub(crate) async fn at_home(world: &World, deployment: &Value) -> Operator {
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(
        (&deployment["metadata"]["namespace"], &pod["serviceAccountName"]),
        (&world.home.into(), &world.account.into())
    );
    let [container] = pod["containers"].as_array().unwrap().as_slice() else { panic!("one container") };
    assert!(container.get("command").is_none(), "the image says what is run");
    let mut variables = Vec::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        let value = match variable.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) {
            Some("metadata.namespace") => world.home.to_owned(),
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

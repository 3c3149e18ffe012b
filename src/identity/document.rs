//! When two policy documents say the same.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Whether two documents say the same, however they are spelled: a single value and a list of one, the order of lists, and
/// the order of statements do not count.
pub fn same(one: &Value, other: &Value) -> bool {
    normal(one) == normal(other)
}

/// The document in a form in which the same is spelled the same.
fn normal(document: &Value) -> Value {
    let mut normal = document.clone();
    if let Value::Object(fields) = &mut normal
        && let Some(statements) = fields.get_mut("Statement")
    {
        let each = match statements.take() {
            Value::Array(each) => each,
            one => vec![one],
        };
        let each: BTreeSet<String> = each.iter().map(|statement| statement_of(statement).to_string()).collect();
        *statements = each.into_iter().map(Value::String).collect();
    }
    normal
}

fn statement_of(statement: &Value) -> Value {
    let Value::Object(fields) = statement else { return statement.clone() };
    fields
        .iter()
        .map(|(key, value)| {
            let value = match (key.as_str(), value) {
                ("Action" | "NotAction" | "Resource" | "NotResource", value) => sorted(value),
                ("Principal" | "NotPrincipal", Value::Object(of)) => each(of, sorted),
                ("Condition", Value::Object(operators)) => {
                    each(operators, |keys| keys.as_object().map_or_else(|| keys.clone(), |keys| each(keys, sorted)))
                }
                (_, value) => value.clone(),
            };
            (key.clone(), value)
        })
        .collect::<Map<String, Value>>()
        .into()
}

fn each(fields: &Map<String, Value>, spelled: impl Fn(&Value) -> Value) -> Value {
    fields.iter().map(|(key, value)| (key.clone(), spelled(value))).collect::<Map<String, Value>>().into()
}

fn sorted(value: &Value) -> Value {
    let mut values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    values.sort_by_key(ToString::to_string);
    values.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_says_the_same_is_the_same_however_it_is_spelled() {
        let ours = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:a"}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Action": ["a", "b"], "Resource": "r", "Condition": {"StringEquals": {"k": "v"}}}]});
        let told = json!({"Version": "2012-10-17", "Statement": [
            {"Action": ["b", "a"], "Effect": "Allow", "Resource": ["r"], "Condition": {"StringEquals": {"k": ["v"]}}},
            {"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": {"AWS": ["arn:a"]}}]});
        assert!(same(&ours, &told));
        let single = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "a", "Resource": "r"}});
        let listed =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "a", "Resource": "r"}]});
        assert!(same(&single, &listed));
    }

    #[test]
    fn what_says_something_else_is_not_the_same() {
        let of = |action: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action}]});
        assert!(!same(&of("a"), &of("b")));
        let principal =
            |arn: &str| json!({"Statement": [{"Principal": {"AWS": arn}, "Condition": {"StringEquals": {"k": arn}}}]});
        assert!(!same(&principal("arn:aws:iam::1:user/a"), &principal("AIDAEXAMPLE")));
        assert!(!same(&of("a"), &json!({})));
        assert!(!same(&Value::Null, &of("a")));
    }
}

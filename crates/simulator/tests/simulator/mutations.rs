//! Copies of a good body, each with one field renamed, dropped, mistyped, nulled, or added.

use serde_json::{Value, json};

/// What was changed, where, and the changed body.
pub struct Mutation {
    /// The field, or the object that got one more.
    pub path: String,
    pub kind: Kind,
    pub body: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Renamed,
    Dropped,
    Mistyped,
    Nulled,
    OneMore,
}

pub fn mutations(body: &Value) -> Vec<Mutation> {
    let mut found = Vec::new();
    collect(body, "", &mut |path, kind, change| {
        let mut copy = body.clone();
        change(&mut copy);
        found.push(Mutation { path, kind, body: copy });
    });
    found
}

type Change<'a> = &'a dyn Fn(&mut Value);

fn collect(part: &Value, path: &str, keep: &mut dyn FnMut(String, Kind, Change<'_>)) {
    match part {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = format!("{path}/{name}");
                change_field(path, name, value, &mut |kind, change| keep(at.clone(), kind, change));
                collect(value, &at, keep);
            }
            keep(path.to_owned(), Kind::OneMore, &|body| body.pointer_mut(path).unwrap()["extra"] = json!(1));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{path}/{index}"), keep);
            }
        }
        _ => {}
    }
}

fn change_field(path: &str, name: &str, value: &Value, keep: &mut dyn FnMut(Kind, Change<'_>)) {
    let take = |body: &mut Value| body.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    keep(Kind::Renamed, &|body| {
        let value = take(body);
        body.pointer_mut(path).unwrap()[format!("{name}X")] = value;
    });
    keep(Kind::Dropped, &|body| drop(take(body)));
    keep(Kind::Mistyped, &|body| body.pointer_mut(path).unwrap()[name] = mistyped(value));
    keep(Kind::Nulled, &|body| body.pointer_mut(path).unwrap()[name] = Value::Null);
}

fn mistyped(value: &Value) -> Value {
    match value {
        Value::String(_) => json!(7),
        other => json!(other.to_string()),
    }
}
